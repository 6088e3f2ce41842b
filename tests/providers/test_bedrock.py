"""What is Bedrock's own: names, dialects, life cycles, losses in S3, deployments. The client is the real boto3."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from apps.datasets.provider_formats import PROVIDER_FORMATS
from apps.providers.adapters.bedrock.adapter import BedrockProvider, job_name, tuned_name
from apps.providers.adapters.bedrock.catalogue import Catalogue
from apps.providers.adapters.bedrock.families import aws_hyperparameters
from apps.providers.adapters.bedrock.progress import read_csv
from apps.providers.contracts import (
    ProviderUnavailableError,
    TrainingState,
)
from apps.providers.remote import DataFacts, RemoteProgress, RemoteRequest
from tests.providers.bedrock_peer import LOSSES, ROLE, BedrockPeer
from tests.providers.bedrock_server import BUCKET, CLAUDE, NOVA, OLD_LLAMA, PREFIX


@pytest.fixture
def peer() -> Iterator[BedrockPeer]:
    peer = BedrockPeer()
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def adapter(peer: BedrockPeer) -> Iterator[BedrockProvider]:
    adapter = peer.adapter()
    yield adapter
    adapter.close()


def asked_for(**changes: Any) -> RemoteRequest:
    request = {
        "job_key": "0c8f7a52-7f0e-4d0a-8f4e-3f9f2f6f6a11",
        "base_model": NOVA,
        "training_file": f"s3://{BUCKET}/team/files/a/train.jsonl",
        "suffix": "Ticket sorting, 2nd!",
    }
    return RemoteRequest(**{**request, **changes})


def submitted(adapter: BedrockProvider, peer: BedrockPeer, **changes: Any) -> str:
    handle = adapter.submit(asked_for(**changes))
    peer.advance(handle, "running")
    return handle


def shape(operation: str, member: str) -> Any:
    """What AWS's own description of the API says about a field."""
    service = botocore.session.get_session().get_service_model("bedrock")
    described: Any = service.operation_model(operation).input_shape
    return described.members[member]


# --- Submitting ------------------------------------------------------------------------------------------------


def test_a_job_is_asked_for_as_bedrock_wants_it(peer: BedrockPeer, adapter: BedrockProvider):
    request = asked_for(
        hyperparameters={"epochs": 3, "learning_rate": 0.00001}, validation_file=f"s3://{BUCKET}/v.jsonl"
    )
    adapter.submit(request)
    (_, _, told) = peer.server.requests[-1]
    assert told == {
        "jobName": f"ftportal-{request.job_key}",
        "customModelName": tuned_name(request),
        "roleArn": ROLE,
        "clientRequestToken": hashlib.sha256(request.job_key.encode()).hexdigest(),
        "baseModelIdentifier": NOVA,
        "customizationType": "FINE_TUNING",
        "trainingDataConfig": {"s3Uri": request.training_file},
        "validationDataConfig": {"validators": [{"s3Uri": f"s3://{BUCKET}/v.jsonl"}]},
        "outputDataConfig": {"s3Uri": f"s3://{BUCKET}/team/output/"},
        "hyperParameters": {"epochCount": "3", "learningRate": "0.00001"},
    }


@pytest.mark.parametrize(
    "key", ["a", "0c8f7a52-7f0e-4d0a-8f4e-3f9f2f6f6a11", "x" * 300, "Jöb/1 of_2", "ends-with-", "1.2"]
)
def test_names_keep_to_the_patterns_of_the_api(key: str):
    request = asked_for(job_key=key)
    operation = "CreateModelCustomizationJob"
    for member, name in (("jobName", job_name(key)), ("customModelName", tuned_name(request))):
        rule = shape(operation, member).metadata
        assert re.fullmatch(rule["pattern"], name), name
        assert len(name) <= rule["max"]


def test_different_keys_have_different_names():
    keys = ["a b", "a-b", "a_b", "A-B", "a" * 80, "a" * 81]
    assert len({job_name(key) for key in keys}) == len(keys)


def test_submitting_twice_with_one_key_gives_one_job(peer: BedrockPeer, adapter: BedrockProvider):
    assert adapter.submit(asked_for()) == adapter.submit(asked_for())
    assert peer.jobs_created() == 1


def test_a_name_that_is_taken_is_the_jobs_own(peer: BedrockPeer, adapter: BedrockProvider):
    """As after the twelve hours for which AWS remembers a token."""
    handle = adapter.submit(asked_for())
    peer.server.tokens.clear()
    assert adapter.submit(asked_for()) == handle


def test_hyperparameters_are_written_without_exponents():
    assert aws_hyperparameters({"learning_rate": 1e-06, "epochs": 10.0, "batch_size": 32}) == {
        "learningRate": "0.000001",
        "epochCount": "10",
        "batchSize": "32",
    }


def test_a_large_file_arrives_whole(peer: BedrockPeer, adapter: BedrockProvider, tmp_path: Path):
    """More than eight megabytes are sent in parts."""
    path = tmp_path / "train.jsonl"
    path.write_bytes(b'{"messages": []}\n' * 600_000)
    uri = adapter.upload(path, role="training", objective="supervised", filename="My training (v2).jsonl")
    assert re.fullmatch(rf"s3://{BUCKET}/team/files/[0-9a-f]{{16}}/My-training-v2\.jsonl", uri)
    stored = adapter._clients.s3().get_object(Bucket=BUCKET, Key=uri.split("/", 3)[3])["Body"].read()
    assert stored == path.read_bytes()
    assert (
        adapter.upload(path, role="training", objective="supervised", filename="My training (v2).jsonl")
        == uri
    )


def test_a_file_that_is_gone_is_refused(adapter: BedrockProvider):
    assert adapter.file_state(f"s3://{BUCKET}/nothing.jsonl").readiness == "refused"


# --- Models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (NOVA, "bedrock"),
        (CLAUDE, "bedrock-claude"),
        ("meta.llama3-3-70b-instruct-v1:0:128k", "bedrock"),
        ("qwen.qwen3-32b-v1:0", "bedrock"),
        (f"{PREFIX}:custom-model/{CLAUDE}/abcdefghijkl", "bedrock-claude"),
        (f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA}", "bedrock"),
        ("meta.llama3-1-8b-instruct-v1:0:128k", None),
        ("amazon.nova-canvas-v1:0", None),
        ("cohere.command-text-v14", None),
        ("gpt-4o", None),
    ],
)
def test_each_family_has_its_data_format(adapter: BedrockProvider, model: str, expected: str | None):
    support = adapter.support(model, "supervised")
    assert (support and support.data_format) == expected
    assert expected is None or expected in PROVIDER_FORMATS
    assert adapter.support(model, "dpo") is None


def test_claudes_bounds_are_those_of_the_user_guide(adapter: BedrockProvider):
    """ "Anthropic Claude 3 model customization hyperparameters", Amazon Bedrock user guide."""
    support = adapter.support(CLAUDE, "supervised")
    assert support is not None
    assert {each.name: (each.low, each.high, each.usual) for each in support.numbers} == {
        "epochs": (1, 10, 2),
        "batch_size": (4, 256, 32),
        "learning_rate_multiplier": (0.1, 2, 1),
        "early_stopping_patience": (1, 10, 2),
    }


def test_rows_of_both_files_count(adapter: BedrockProvider):
    """ "Sum of training and validation records": 100 to 10,000 for Llama 3.2, same user guide."""
    request = asked_for(base_model=OLD_LLAMA)

    def codes(rows: int, validation: int) -> set[str]:
        found = adapter.validate(request, DataFacts(rows=rows, validation_rows=validation))
        return {problem.code for problem in found} & {"too_few_rows", "too_many_rows"}

    assert codes(80, 19) == {"too_few_rows"}
    assert codes(80, 20) == set()
    assert codes(9_000, 1_000) == set()
    assert codes(9_000, 1_001) == {"too_many_rows"}


def problems(adapter: BedrockProvider, **changes: Any) -> dict[str, str]:
    found = adapter.validate(asked_for(**changes), DataFacts(rows=500, bytes=100_000))
    return {problem.code: problem.severity for problem in found}


def test_the_life_of_a_model_is_read_from_the_region(adapter: BedrockProvider, peer: BedrockPeer):
    assert problems(adapter) == {}
    assert problems(adapter, base_model=CLAUDE) == {"base_model_ends": "warning"}
    assert problems(adapter, base_model=OLD_LLAMA) == {"base_model_ended": "error"}
    gone = "anthropic.claude-3-5-haiku-20241022-v1:0"
    assert problems(adapter, base_model=gone) == {"model_not_offered": "error"}
    assert problems(adapter, objective="dpo") == {"objective_not_supported": "error"}
    ends = {model.id: model.end_of_life for model in adapter.check().trainable or ()}
    assert ends == {NOVA: None, CLAUDE: date(2030, 9, 10), OLD_LLAMA: date(2026, 1, 15)}


def test_the_last_day_of_a_model_is_the_last_it_is_warned_of(adapter: BedrockProvider):
    catalogue = Catalogue(adapter._clients)
    assert [each.code for each in catalogue.problems(CLAUDE, date(2030, 9, 9))] == ["base_model_ends"]
    assert [each.code for each in catalogue.problems(CLAUDE, date(2030, 9, 10))] == ["base_model_ended"]


def test_a_list_that_can_not_be_read_is_a_warning(adapter: BedrockProvider, peer: BedrockPeer):
    peer.refuse_next(503)
    assert problems(adapter) == {"not_checked": "warning"}
    assert problems(adapter) == {}


def test_a_role_that_is_none_is_named(peer: BedrockPeer):
    adapter = peer.adapter(role_arn="bedrock-tuning")
    assert problems(adapter) == {"bad_role_arn": "error"}
    adapter.close()


def test_a_bucket_that_can_not_be_used_is_named(peer: BedrockPeer):
    adapter = peer.adapter(s3_uri="s3://another-bucket")
    seen = adapter.check()
    adapter.close()
    assert (seen.reachable, seen.authenticated) == (True, True)
    assert "bucket" in seen.message


# --- Following -------------------------------------------------------------------------------------------------


def told(progress: RemoteProgress, kind: str) -> list[Any]:
    return [event.data for event in progress.events if event.type == kind]


def test_losses_come_from_the_bucket_at_the_end(peer: BedrockPeer, adapter: BedrockProvider):
    handle = submitted(adapter, peer, validation_file=f"s3://{BUCKET}/v.jsonl")
    before = adapter.poll(handle)
    assert told(before, "metrics") == []
    peer.advance(handle, "succeeded")
    ended = adapter.poll(handle, cursor=before.cursor)
    assert told(ended, "plan") == [{"steps": 3, "epochs": 2}]
    assert told(ended, "metrics") == [
        {"step": step, "epoch": epoch, "loss": loss} for step, epoch, loss in LOSSES
    ]
    assert told(ended, "evaluation") == [
        {"step": 1, "epoch": 1, "loss": 1.9},
        {"step": 3, "epoch": 2, "loss": 1.4},
    ]
    kinds = [event.type for event in ended.events if event.type != "message"]
    assert kinds == ["plan", "metrics", "metrics", "evaluation", "metrics", "metrics", "evaluation"]
    assert adapter.poll(handle, cursor=ended.cursor).events == ()
    assert adapter.result(handle).validation_loss == 1.4


def test_losses_that_are_missing_are_a_note_and_no_failure(peer: BedrockPeer, adapter: BedrockProvider):
    handle = submitted(adapter, peer)
    peer.server.job_by_arn(handle).status = "Completed"
    ended = adapter.poll(handle)
    assert ended.state == TrainingState.SUCCEEDED
    warnings = [data["text"] for data in told(ended, "message") if data["level"] == "warning"]
    assert len(warnings) == 1
    assert "training losses" in warnings[0]


def test_losses_wait_for_a_bucket_that_does_not_answer(peer: BedrockPeer, adapter: BedrockProvider):
    """The end is told once, so not before its losses can be read."""
    handle = submitted(adapter, peer)
    cursor = adapter.poll(handle).cursor
    peer.advance(handle, "succeeded")
    job = adapter._job(handle)
    peer.refuse_next(503, times=2)
    with pytest.raises(ProviderUnavailableError):
        adapter._measured(job)
    assert len(told(adapter.poll(handle, cursor=cursor), "metrics")) == len(LOSSES)


def test_stages_are_told_in_words(peer: BedrockPeer, adapter: BedrockProvider):
    handle = adapter.submit(asked_for())
    assert adapter.poll(handle).state == TrainingState.QUEUED
    peer.server.stages[handle]["validationDetails"] = "InProgress"
    first = adapter.poll(handle)
    assert first.state == TrainingState.RUNNING
    assert told(first, "message") == [{"level": "info", "text": "Checking the files has begun."}]
    peer.advance(handle, "failed")
    last = adapter.poll(handle, cursor=first.cursor)
    assert told(last, "message") == [{"level": "error", "text": "Training failed."}]
    assert [event.seq for event in (*first.events, *last.events)] == [0, 1]


def test_the_reply_is_kept_as_plain_json(peer: BedrockPeer, adapter: BedrockProvider):
    reply = adapter.poll(submitted(adapter, peer)).reply
    assert json.loads(json.dumps(reply)) == reply
    assert reply["status"] == "InProgress"
    assert "ResponseMetadata" not in reply


def test_metrics_files_are_read_as_they_come():
    rows = (
        "step_number,epoch_number,training_loss,perplexity",
        "2,0,nan,1",
        "1,0,1.5,4.4",
        ",0,1.2,3",
        "x,y,z,w",
    )
    text = "\ufeff" + "\r\n".join(rows) + "\r\n"
    assert read_csv(text, "training_loss") == [
        {"step": 1, "loss": 1.5, "epoch": 0.0},
        {"step": 2, "loss": None, "epoch": 0.0},
    ]
    assert read_csv("", "training_loss") == []
