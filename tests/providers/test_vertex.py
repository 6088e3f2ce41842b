"""What is Vertex AI's own: requests, states, metrics, checkpoints. The client is the real google-genai."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.datasets.provider_formats import PROVIDER_FORMATS
from apps.providers.adapters.vertex.adapter import VertexProvider, job_label
from apps.providers.adapters.vertex.metrics import read_metrics
from apps.providers.contracts import ProviderError, TrainingState
from apps.providers.remote import DataFacts, RemoteProgress, RemoteRequest
from tests.providers.vertex_peer import PLANNED_STEPS, VertexPeer
from tests.providers.vertex_server import BUCKET, FLASH, PARENT

TRAIN, VALID = f"gs://{BUCKET}/team/files/a/train.jsonl", f"gs://{BUCKET}/team/files/b/valid.jsonl"


@pytest.fixture
def peer() -> Iterator[VertexPeer]:
    peer = VertexPeer()
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def adapter(peer: VertexPeer) -> Iterator[VertexProvider]:
    adapter = peer.adapter()
    yield adapter
    adapter.close()


def asked_for(**changes: Any) -> RemoteRequest:
    return RemoteRequest(**{"job_key": "Job 1", "base_model": FLASH, "training_file": TRAIN, **changes})


def told(progress: RemoteProgress, kind: str) -> list[Any]:
    return [event.data for event in progress.events if event.type == kind]


# --- Submitting ------------------------------------------------------------------------------------------------


def test_supervised_tuning_is_asked_for_as_vertex_wants_it(peer: VertexPeer, adapter: VertexProvider):
    numbers = {"epochs": 3.0, "learning_rate_multiplier": 0.5, "lora_rank": 8.0}
    adapter.submit(asked_for(suffix="tickets", validation_file=VALID, hyperparameters=numbers))
    assert peer.server.requests[-1] == (
        "POST",
        f"/v1beta1/{PARENT}/tuningJobs",
        {
            "baseModel": FLASH,
            "supervisedTuningSpec": {
                "trainingDatasetUri": TRAIN,
                "validationDatasetUri": VALID,
                "hyperParameters": {
                    "epochCount": 3,
                    "learningRateMultiplier": 0.5,
                    "adapterSize": "ADAPTER_SIZE_EIGHT",
                },
            },
            "tunedModelDisplayName": "tickets",
            "labels": {"ftportal-job": job_label("Job 1")},
        },
    )


def test_preference_tuning_is_asked_for_as_vertex_wants_it(peer: VertexPeer, adapter: VertexProvider):
    adapter.submit(asked_for(objective="dpo", hyperparameters={"beta": 0.1, "epochs": 1.0}))
    _, _, body = peer.server.requests[-1]
    assert body["preferenceOptimizationSpec"] == {
        "trainingDatasetUri": TRAIN,
        "hyperParameters": {"beta": 0.1, "epochCount": 1},
    }
    assert "supervisedTuningSpec" not in body


def test_a_tuned_model_can_be_tuned_on(peer: VertexPeer, adapter: VertexProvider):
    model = f"{PARENT}/models/123@1"
    adapter.submit(asked_for(base_model=model))
    _, _, body = peer.server.requests[-1]
    # The library's spelling; readers of protocol buffers as JSON take a field's own name, too.
    assert body["preTunedModel"] == {"tuned_model_name": model}
    assert "baseModel" not in body


def test_labels_keep_to_googles_rules():
    """ "Label keys and values … can only contain lowercase letters, numeric characters, underscores and dashes"."""
    for key in ("a", "Job 1", "Ü" * 200):
        assert len(job_label(key)) <= 63
        assert set(job_label(key)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")


def test_the_library_does_not_warn_that_it_is_experimental(peer: VertexPeer):
    """In a process of its own: the library warns once in a process."""
    settings = json.dumps(
        {
            "project": "peer-project-1", "location": "us-central1", "bucket": "peer-tuning",
            "endpoint_url": peer.server.url, "service_account": peer.adapter()._clients._settings["service_account"],
        }
    )  # fmt: skip
    script = (
        "import json, sys\n"
        "from apps.providers.registry import provider_class\n"
        "from apps.providers.remote import RemoteRequest\n"
        "adapter = provider_class('vertex')(json.loads(sys.argv[1]), allow_private=True)\n"
        f"adapter.submit(RemoteRequest(job_key='1', base_model='{FLASH}', training_file='{TRAIN}'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, settings], capture_output=True, text=True, check=True, timeout=120
    )
    assert "xperimental" not in done.stdout + done.stderr
    assert peer.jobs_created() == 1


def test_a_large_file_arrives_whole(peer: VertexPeer, adapter: VertexProvider, tmp_path: Path):
    """In pieces of eight megabytes, of which the server takes less than it was sent."""
    path = tmp_path / "train.jsonl"
    path.write_bytes(b'{"contents": []}\n' * 600_000)
    uri = adapter.upload(path, role="training", objective="supervised", filename="My training (v2).jsonl")
    key = uri.removeprefix(f"gs://{BUCKET}/")
    assert key.startswith("team/files/")
    assert key.endswith("/My-training-v2.jsonl")
    assert peer.server.objects[key][0] == path.read_bytes()
    assert adapter.file_state(uri).readiness == "ready"
    assert adapter.file_state(f"gs://{BUCKET}/nothing.jsonl").readiness == "refused"


def test_one_token_serves_all_requests(peer: VertexPeer, adapter: VertexProvider):
    assert adapter.check().authenticated
    handle = adapter.submit(asked_for())
    adapter.poll(handle)
    assert adapter.file_state(TRAIN).readiness == "refused"
    assert peer.server.tokens_given == 1


# --- Models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "supervised", "pairs"),
    [
        (FLASH, "gemini", "gemini-preference"),
        ("publishers/google/models/gemini-3.5-flash-lite", "gemini", "gemini-preference"),
        ("gemini-2.0-flash-001", "gemini", "gemini-preference"),
        ("gemini-2.5-pro", "gemini", None),
        (f"{PARENT}/models/1@2", "gemini", "gemini-preference"),
        ("gemini-2.5-flash-image", None, None),
        ("gemini-embedding-001", None, None),
        ("claude-sonnet-4", None, None),
    ],
)
def test_what_is_tuned_and_how(
    adapter: VertexProvider, model: str, supervised: str | None, pairs: str | None
):
    found = [adapter.support(model, "supervised"), adapter.support(model, "dpo")]
    assert [each and each.data_format for each in found] == [supervised, pairs]
    assert {supervised, pairs} - {None} <= PROVIDER_FORMATS.keys()


def test_a_request_is_looked_at_before_it_costs(adapter: VertexProvider):
    def codes(**changes: Any) -> dict[str, str]:
        found = adapter.validate(asked_for(**changes), DataFacts(rows=50))
        return {problem.code: problem.severity for problem in found}

    assert codes() == {"few_rows": "warning"}
    assert codes(hyperparameters={"lora_rank": 6})["hyperparameter_out_of_range"] == "error"
    assert codes(base_model="gemini-2.5-pro", objective="dpo") == {"objective_not_supported": "error"}
    assert codes(base_model="gemini-2.5-flash")["base_model_ends"] == "warning"
    assert codes(seed=3)["no_seed_taken"] == "warning"


# --- Following -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("QUEUED", TrainingState.QUEUED),
        ("PENDING", TrainingState.QUEUED),
        ("RUNNING", TrainingState.RUNNING),
        ("UPDATING", TrainingState.RUNNING),
        ("PAUSED", TrainingState.RUNNING),
        ("CANCELLING", TrainingState.RUNNING),
        ("CANCELLED", TrainingState.STOPPED),
        ("FAILED", TrainingState.FAILED),
        ("EXPIRED", TrainingState.FAILED),
        ("PARTIALLY_SUCCEEDED", TrainingState.FAILED),
        ("SOMETHING_NEW", TrainingState.RUNNING),
    ],
)
@pytest.mark.filterwarnings("ignore:JOB_STATE_SOMETHING_NEW:UserWarning")
def test_every_state_of_google_is_one_of_ours(
    peer: VertexPeer, adapter: VertexProvider, word: str, state: TrainingState
):
    handle = adapter.submit(asked_for())
    peer.server.jobs[handle]["state"] = f"JOB_STATE_{word}"
    assert adapter.poll(handle).state == state


def test_a_job_that_succeeded_in_part_has_its_model(peer: VertexPeer, adapter: VertexProvider):
    handle = adapter.submit(asked_for())
    peer.advance(handle, "succeeded")
    peer.server.jobs[handle]["state"] = "JOB_STATE_PARTIALLY_SUCCEEDED"
    ended = adapter.poll(handle)
    assert ended.state == TrainingState.SUCCEEDED
    assert [data["level"] for data in told(ended, "message")] == ["warning"]
    assert adapter.result(handle).provider_model == f"{PARENT}/endpoints/40000000012"


def test_a_pause_and_its_reasons_are_told_once(peer: VertexPeer, adapter: VertexProvider):
    handle = adapter.submit(asked_for())
    job = peer.server.jobs[handle]
    texts, cursor = [], ""
    for state, detail in (("PENDING", "WAITING_FOR_QUOTA"), ("RUNNING", "TUNING"), ("PAUSED", "TUNING")):
        job.update(state=f"JOB_STATE_{state}", tuningJobState=f"TUNING_JOB_STATE_{detail}")
        for _ in range(2):
            polled = adapter.poll(handle, cursor=cursor)
            cursor = polled.cursor
            texts += [data["text"] for data in told(polled, "message")]
    assert texts == [
        "Waits until the project's quota allows another job.",
        "Trains.",
        "The job was paused at Google, and waits there to be resumed.",
    ]


@pytest.mark.parametrize("objective", ["supervised", "dpo"])
def test_the_plan_stands_before_the_metrics(peer: VertexPeer, adapter: VertexProvider, objective: str):
    handle = adapter.submit(asked_for(objective=objective))
    for turn in ("metrics", "metrics"):
        peer.advance(handle, turn)
    polled = adapter.poll(handle)
    kinds = [event.type for event in polled.events if event.type != "message"]
    assert kinds == ["plan", "metrics", "metrics", "evaluation"]
    assert told(polled, "plan") == [{"steps": PLANNED_STEPS, "rows": 24}]
    assert told(polled, "evaluation") == [{"step": 2, "loss": 1.1}]
    assert polled.trained_tokens == 4321


def test_a_plan_that_comes_late_is_not_told(peer: VertexPeer, adapter: VertexProvider):
    """A plan after metrics would be taken for a restart, and the metrics for outdated."""
    handle = adapter.submit(asked_for())
    peer.advance(handle, "metrics")
    statistics = peer.server.jobs[handle].pop("tuningDataStats")
    first = adapter.poll(handle)
    assert len(told(first, "metrics")) == 1
    peer.server.jobs[handle]["tuningDataStats"] = statistics
    assert told(adapter.poll(handle, cursor=first.cursor), "plan") == []


def test_metrics_that_did_not_change_are_not_sent_again(peer: VertexPeer, adapter: VertexProvider):
    handle = adapter.submit(asked_for())
    peer.advance(handle, "metrics")
    first = adapter.poll(handle)
    answers = []
    server_answer = peer.server.answer

    def noting(*request: Any) -> Any:
        answer = server_answer(*request)
        answers.append(answer[0])
        return answer

    peer.server.answer = noting  # type: ignore[method-assign, assignment]
    assert adapter.poll(handle, cursor=first.cursor).events == ()
    assert answers == [200, 304]


@pytest.mark.parametrize("content", ["<html>", '{"a": 1}', "[1, 2", "step,speed\n1,2\n"])
def test_metrics_that_are_not_understood_are_a_note(peer: VertexPeer, adapter: VertexProvider, content: str):
    handle = adapter.submit(asked_for())
    peer.advance(handle, "metrics")
    peer.server.put(f"metrics/{handle.rpartition('/')[2]}/metrics.jsonl", content.encode())
    first = adapter.poll(handle)
    notes = [data["text"] for data in told(first, "message") if data["level"] == "warning"]
    assert len(notes) == 1
    assert told(adapter.poll(handle, cursor=first.cursor), "message") == []
    peer.advance(handle, "metrics")
    assert len(told(adapter.poll(handle, cursor=first.cursor), "metrics")) == 2


def test_metrics_are_read_in_each_spelling():
    """Names of the metrics: "Tuning and validation metrics", guide to supervised tuning of Gemini."""
    expected = (
        {"step": 1, "loss": 2.0, "token_accuracy": 0.5},
        {"step": 2, "loss": 1.5, "token_accuracy": 0.75},
    )
    rows: list[dict[str, Any]] = [
        {"step": 2, "/train_total_loss": 1.5, "/train_fraction_of_correct_next_step_preds": 0.75},
        {"step": 1, "/train_total_loss": 2.0},
        {"step": 1, "/train_fraction_of_correct_next_step_preds": 0.5},
        {"step": 2, "/eval_total_loss": "1.8"},
        {"step": 3, "/eval_total_loss": "NaN"},
    ]
    lines = "\n".join(json.dumps(row) for row in rows)
    for text in (lines, json.dumps(rows)):
        assert read_metrics(text).training == expected
        assert read_metrics(text).validation == ({"step": 2, "loss": 1.8},)
    table = "step,train_total_loss,eval_total_loss\n1,2.0,\n2,1.5,1.8\n"
    assert [row["loss"] for row in read_metrics(table).training] == [2.0, 1.5]
    assert read_metrics(table).validation == ({"step": 2, "loss": 1.8},)
    assert read_metrics("").training == ()


def test_checkpoints_are_told_and_can_be_asked(peer: VertexPeer, adapter: VertexProvider):
    handle = adapter.submit(asked_for())
    peer.advance(handle, "succeeded")
    ended = adapter.poll(handle)
    expected = [(4, f"{PARENT}/endpoints/40000000011"), (8, f"{PARENT}/endpoints/40000000012")]
    assert [(data["step"], data["provider_model"]) for data in told(ended, "checkpoint")] == expected
    assert told(adapter.poll(handle, cursor=ended.cursor), "checkpoint") == []
    kept = adapter.result(handle).checkpoints
    assert [(each.step, each.provider_model) for each in kept] == expected


def test_cancelling_what_can_not_be_cancelled_is_told(peer: VertexPeer, adapter: VertexProvider):
    handle = adapter.submit(asked_for())
    peer.server.jobs[handle]["state"] = "JOB_STATE_PAUSED"
    with pytest.raises(ProviderError) as refused:
        adapter.cancel(handle)
    assert "can't be cancelled" in refused.value.message
