"""What is particular to Fireworks: signed addresses, the file of metrics, early stopping, chosen ids, deployments.

The shapes are those of its client (1.2.28) and its documentation.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.providers.adapters.fireworks.adapter import FireworksProvider
from apps.providers.adapters.fireworks.following import Cursor, Story
from apps.providers.contracts import (
    ProviderRejectedError,
    ProviderUnavailableError,
    TrainingState,
)
from apps.providers.remote import RemoteRequest
from tests.providers.contract.steps import ready_file, submitted, uploaded, write
from tests.providers.fireworks_peer import ACCOUNT, BASE_MODEL, FireworksPeer

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def peer() -> Iterator[FireworksPeer]:
    peer = FireworksPeer()
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def adapter(peer: FireworksPeer) -> Iterator[FireworksProvider]:
    adapter = peer.adapter()
    yield adapter
    adapter.close()


def asked(file: str, **changes: Any) -> RemoteRequest:
    return RemoteRequest(**{"job_key": "job-1", "base_model": BASE_MODEL, "training_file": file, **changes})


def losses(events: Any) -> list[tuple[str, int, float]]:
    measured = [event for event in events if event.type in ("metrics", "evaluation")]
    return [(event.type, event.data["step"], event.data["loss"]) for event in measured]


# --- Files ---------------------------------------------------------------------------------------------------


def test_a_file_goes_byte_for_byte_to_the_signed_address(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path
):
    """Both headers are part of the signature, as its client's own uploader says."""
    content = b'{"messages": [{"role": "user", "content": "caf\xc3\xa9"}]}\n' * 60_000
    path = tmp_path / "0017"
    path.write_bytes(content)
    file = adapter.upload(path, role="training", objective="supervised", filename="tickets v3.jsonl")
    name = file.removeprefix(f"accounts/{ACCOUNT}/datasets/")
    assert peer.stored[name] == content
    assert len(content) > 2 * 2**20, "more than one piece"
    (put,) = peer.http.asked("PUT", name)
    assert put.headers["content-length"] == str(len(content))
    assert put.headers["content-type"] == "application/octet-stream"
    assert put.headers["x-goog-content-length-range"] == f"{len(content)},{len(content)}"
    assert "authorization" not in put.headers
    created = peer.http.calls[0].body
    assert created["dataset"] == {"userUploaded": {}, "exampleCount": "60000", "format": "CHAT"}
    assert peer.http.calls[1].body == {"filenameToSize": {"tickets-v3.jsonl": str(len(content))}}


def test_a_file_that_is_ready_is_not_sent_again(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path
):
    first = ready_file(adapter, peer, tmp_path)
    assert uploaded(adapter, peer, tmp_path) == first
    assert len([call for call in peer.http.calls if call.method == "PUT"]) == 1


def test_a_file_whose_sending_broke_off_is_sent_again(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path
):
    peer.http.lose_next = ":validateUpload"
    with pytest.raises(ProviderUnavailableError):
        uploaded(adapter, peer, tmp_path)
    file = ready_file(adapter, peer, tmp_path)
    assert len(peer.datasets) == 1
    assert adapter.file_state(file).readiness == "ready"


@pytest.mark.parametrize("kept", [True, False])
def test_the_words_of_the_check_are_told(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path, kept: bool
):
    peer.keeps_what_is_wrong = kept
    path = write(tmp_path / "rows.jsonl", [*peer.lines("supervised", 2), b"{"])
    file = adapter.upload(path, role="training", objective="supervised", filename=path.name)
    state = adapter.file_state(file)
    assert state.readiness == "refused"
    assert "line 3 is not valid JSON" in state.message


def test_a_dataset_that_must_be_encrypted_gets_no_plain_file(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path
):
    peer.more_of_a_dataset = {"encryptionState": "ENCRYPTION_STATE_CMEK"}
    with pytest.raises(ProviderRejectedError) as refused:
        uploaded(adapter, peer, tmp_path)
    assert refused.value.code == "encrypted_dataset"
    assert peer.stored == {}


def test_addresses_that_the_provider_tells_pass_the_guard(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path
):
    """An address with a password in it is refused by nobody but our guard."""
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "metrics")
    peer.storage = peer.http.url.replace("://", "://someone:hunter2@")
    other = write(tmp_path / "other.jsonl", peer.lines("supervised", 3))
    with pytest.raises(ProviderUnavailableError) as sending:
        adapter.upload(other, role="training", objective="supervised", filename=other.name)
    with pytest.raises(ProviderUnavailableError) as reading:
        adapter.poll(handle)
    for refused in (sending, reading):
        assert "user name or password" in refused.value.message
        assert "hunter2" not in refused.value.message


# --- Jobs ------------------------------------------------------------------------------------------------------


def test_a_recipe_in_the_words_of_fireworks(peer: FireworksPeer, tmp_path: Path):
    adapter = peer.adapter(early_stop="yes")
    request = asked(
        ready_file(adapter, peer, tmp_path),
        base_model="qwen3-8b",
        validation_file=ready_file(adapter, peer, tmp_path, role="validation"),
        suffix="Tickets, für den Kundendienst",
        hyperparameters={
            "epochs": 2,
            "batch_size": 16,
            "learning_rate": 2e-4,
            "lora_rank": 16,
            "weight_decay": 0.01,
        },
    )
    handle = adapter.submit(request)
    adapter.close()
    (created,) = peer.http.asked("POST", "/supervisedFineTuningJobs")
    assert created.body == {
        "dataset": request.training_file, "evaluationDataset": request.validation_file, "baseModel": BASE_MODEL,
        "displayName": "Tickets, für den Kundendienst", "epochs": 2, "batchSizeSamples": 16, "learningRate": 2e-4,
        "loraRank": 16, "optimizerWeightDecay": 0.01, "earlyStop": True,
    }  # fmt: skip
    assert (
        handle == f"accounts/{ACCOUNT}/supervisedFineTuningJobs/{created.query['supervisedFineTuningJobId']}"
    )


def test_pairs_are_trained_with_dpo(peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path):
    file = ready_file(adapter, peer, tmp_path, objective="dpo")
    handle = adapter.submit(asked(file, objective="dpo", hyperparameters={"beta": 0.2, "epochs": 2}))
    (created,) = peer.http.asked("POST", "/dpoJobs")
    assert created.body == {
        "dataset": file,
        "trainingConfig": {"baseModel": BASE_MODEL, "epochs": 2},
        "lossConfig": {"method": "DPO", "dpo": {"beta": 0.2}},
    }
    assert adapter.find("job-1") == handle
    peer.advance(handle, "running")
    waiting = adapter.poll(handle)
    assert losses(waiting.events) == [], "there is no file of metrics yet"
    peer.advance(handle, "metrics")
    progress = adapter.poll(handle, cursor=waiting.cursor)
    assert losses(progress.events) == [("metrics", 1, 1.38)]
    adapter.cancel(handle)
    assert peer.cancel_was_asked(handle)
    peer.turn(handle, "COMPLETED")
    peer.complete(handle)
    assert adapter.result(handle).provider_model == f"accounts/{ACCOUNT}/models/{handle.rpartition('/')[2]}"


def test_a_key_never_makes_a_second_job(peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path):
    file = ready_file(adapter, peer, tmp_path)
    handle = adapter.submit(asked(file))
    assert adapter.submit(asked(file)) == handle
    assert peer.jobs_created() == 1


def test_a_job_is_found_without_a_list(peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    before = len(peer.http.calls)
    assert adapter.find("job-1") == handle
    assert adapter.find("job-2") is None
    assert [call.path.split("/")[4] for call in peer.http.calls[before:]] == [
        "supervisedFineTuningJobs",
        "supervisedFineTuningJobs",
        "dpoJobs",
    ]


def test_a_job_that_stopped_early_succeeded(peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "metrics")
    peer.turn(handle, "EARLY_STOPPED")
    peer.complete(handle)
    progress = adapter.poll(handle)
    assert (progress.state, progress.status) == (TrainingState.SUCCEEDED, "EARLY_STOPPED")
    assert [event.data["text"] for event in progress.events if event.type == "message"] == [
        "The training was stopped early: the validation loss fell no more."
    ]
    assert adapter.result(handle).provider_model


def test_a_job_that_waits_again_has_not_lost_its_place(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path
):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "metrics")
    cursor = adapter.poll(handle).cursor
    peer.turn(handle, "RE_QUEUEING")
    again = adapter.poll(handle, cursor=cursor)
    assert again.state == TrainingState.RUNNING
    assert [event.data["text"] for event in again.events] == ["The job was put back into the queue."]
    peer.turn(handle, "PAUSED")
    paused = adapter.poll(handle, cursor=again.cursor)
    assert paused.events[0].data["level"] == "warning"
    peer.turn(handle, "RUNNING")
    peer.measure(handle, step=1)
    peer.measure(handle, step=2)
    assert losses(adapter.poll(handle, cursor=paused.cursor).events) == [("metrics", 2, 0.69)]


def test_what_a_job_costs_is_the_providers_estimate(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path
):
    """1 unit and 750,000,000 nanos are 1.75, as its client describes amounts."""
    progress = adapter.poll(submitted(adapter, peer, tmp_path))
    assert (progress.cost, progress.currency) == (Decimal("1.75"), "USD")


def test_the_reply_that_is_kept_lets_nobody_in(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path
):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "metrics")
    peer.jobs[handle]["wandbConfig"] = {"enabled": True, "apiKey": "wandb-key-of-a-colleague"}
    kept = json.dumps(adapter.poll(handle).reply)
    assert "signature" not in kept
    assert "wandb-key" not in kept


# --- The file of metrics ---------------------------------------------------------------------------------------


def test_both_shapes_of_a_line_are_read():
    """As they were seen of two generations of its trainer."""
    story = Story(Cursor(), now=5.0)
    story.measure(
        [
            b'{"timestamp": 1784318345.9332526, "step": 1, "data": {"train/epoch": 0, "train/token": 20248, '
            b'"train/loss": 0.931962}}',
            b"no json",
            b'{"step": 2, "train/step": 2, "train/loss": 1.1347249713043017, "train/lr": 0.0001}',
            b'{"step": 2, "eval/loss": NaN}',
        ]
    )
    assert [(event.time, event.type, dict(event.data)) for event in story.events] == [
        (1784318345.9332526, "metrics", {"step": 1, "loss": 0.931962, "epoch": 0}),
        (5.0, "metrics", {"step": 2, "loss": 1.1347249713043017, "learning_rate": 0.0001}),
    ]


@pytest.mark.parametrize("ranges", [True, False])
def test_only_what_is_new_is_read(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path, ranges: bool
):
    peer.serves_ranges = ranges
    handle = submitted(adapter, peer, tmp_path)
    for _ in range(3):
        peer.advance(handle, "metrics")
    first = adapter.poll(handle)
    assert losses(first.events) == [
        ("metrics", 1, 1.38), ("metrics", 2, 0.69), ("metrics", 3, 0.46), ("evaluation", 3, 0.5),
    ]  # fmt: skip
    read = len(peer.metrics[handle])
    peer.advance(handle, "metrics")
    peer.metrics[handle] += b'{"step": 5, "train/lo'
    second = adapter.poll(handle, cursor=first.cursor)
    assert losses(second.events) == [("metrics", 4, 0.345)]
    peer.metrics[handle] += b'ss": 0.3}'
    peer.advance(handle, "succeeded")
    assert losses(adapter.poll(handle, cursor=second.cursor).events) == [("metrics", 5, 0.3)], (
        "the end of a line"
    )
    assert [call.headers.get("range") for call in peer.http.calls if "/metrics/" in call.path][:2] == [
        None,
        f"bytes={read - 1}-",
    ]


def test_a_file_that_was_written_anew_is_read_anew(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path
):
    handle = submitted(adapter, peer, tmp_path)
    for _ in range(3):
        peer.advance(handle, "metrics")
    cursor = adapter.poll(handle).cursor
    peer.metrics[handle] = b'{"step": 4, "train/loss": 0.3}\n'
    shorter = adapter.poll(handle, cursor=cursor)
    assert losses(shorter.events) == [("metrics", 4, 0.3)]
    peer.metrics[handle] = (
        b'{"step": 5, "train/loss": 0.2, "train/lr": 0.000123, "train/total_tokens": 999}\n'
    )
    assert losses(adapter.poll(handle, cursor=shorter.cursor).events) == [("metrics", 5, 0.2)]
