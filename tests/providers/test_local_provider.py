import json
from dataclasses import replace
from pathlib import Path

import pytest

from apps.providers.adapters.local.adapter import LocalProvider
from apps.providers.contracts import (
    Hyperparameters,
    InferenceProvider,
    JobUnknownError,
    LoraSettings,
    ProviderRejectedError,
    RowTokens,
    TrainingProvider,
    TrainingRequest,
    TrainingState,
)
from apps.providers.jobdirs.files import log_tail, read_events
from apps.providers.registry import PROVIDERS, provider_class, training_provider
from apps.providers.remote import RemoteTrainer
from tests.providers.conftest import Adapter, end_of
from tests.providers.tiny import colour_chats, write_jsonl

pytestmark = pytest.mark.timeout(900)


def members(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")} | set(protocol.__annotations__)


def request_for(tmp_path: Path, base: str, **changes: object) -> TrainingRequest:
    return TrainingRequest(
        job_id="job-1",
        base_model=base,
        train_file=write_jsonl(tmp_path / "rows.jsonl", colour_chats(8)),
        hyperparameters=Hyperparameters(lora=LoraSettings(rank=2, alpha=4), epochs=1, **changes),  # type: ignore[arg-type]
    )


def test_every_registered_provider_fulfils_a_protocol() -> None:
    for name in PROVIDERS:
        provider = provider_class(name)
        protocols = (TrainingProvider, RemoteTrainer, InferenceProvider)
        assert any(all(hasattr(provider, part) for part in members(each)) for each in protocols), name
    with pytest.raises(ProviderRejectedError) as refusal:
        training_provider("nosuch")
    assert refusal.value.code == "unknown_provider"


def test_a_job_is_submitted_once_and_polled_to_its_result(tmp_path: Path, base_model: Path) -> None:
    provider = LocalProvider(jobs_dir=tmp_path / "jobs")
    request = request_for(tmp_path, str(base_model))

    handle = provider.submit(request)
    assert provider.submit(request) == handle
    first = provider.poll(handle)
    assert first.state == TrainingState.RUNNING
    end_of(Path(handle), provider)
    rest = provider.poll(handle, cursor=first.cursor)
    assert provider.submit(request) == handle

    assert rest.state == TrainingState.SUCCEEDED
    assert provider.poll(handle, cursor=rest.cursor).events == ()
    sequence = [event.seq for event in (*first.events, *rest.events)]
    assert sequence == list(range(len(sequence)))
    result = provider.result(handle)
    assert result.kind == "adapter"
    assert result.path is not None


def test_problems_are_found_before_anything_starts(tmp_path: Path) -> None:
    provider = LocalProvider(jobs_dir=tmp_path / "jobs")
    request = request_for(tmp_path, "/nowhere/model", early_stopping_patience=2)
    broken = replace(request, hyperparameters=replace(request.hyperparameters, lora=None))

    errors = {problem.code for problem in provider.validate(broken) if problem.severity == "error"}

    assert errors == {"no_lora", "no_validation", "no_model"}
    with pytest.raises(ProviderRejectedError):
        provider.submit(broken)
    assert not (tmp_path / "jobs").exists()


def test_the_estimate_counts_what_the_trainer_will_do(tmp_path: Path) -> None:
    """5 rows of 10, 20, 30, 40 and 500 tokens, at most 100 a row, batches of 2, 3 epochs.

    Dropping the long one leaves 4 rows: 2 steps an epoch, 6 in all; 3 * 100 tokens, of which 3 * 40 are
    trained.
    """
    rows = [RowTokens(total=total, assistant=10) for total in (10, 20, 30, 40, 500)]
    request = request_for(tmp_path, "x")
    request = replace(request, hyperparameters=Hyperparameters(epochs=3, batch_size=2, max_length=100))
    provider = LocalProvider()

    unknown = provider.estimate(request, rows)
    measured = provider.estimate(request, rows, tokens_per_second=150.0)

    assert (unknown.examples, unknown.dropped_rows, unknown.steps) == (4, 1, 6)
    assert (unknown.tokens, unknown.trained_tokens) == (300, 120)
    assert (unknown.seconds, unknown.cost, unknown.basis) == (None, None, "unknown")
    assert measured.seconds == pytest.approx(2.0)
    unlocated = provider.estimate(request, [RowTokens(total=10, assistant=None)])
    assert unlocated.trained_tokens is None


def test_an_unfinished_line_is_left_for_the_next_read(tmp_path: Path) -> None:
    line = json.dumps({"seq": 0, "time": 1.5, "type": "phase", "phase": "loading"}) + "\n"
    path = tmp_path / "events.jsonl"

    assert read_events(tmp_path) == ([], 0)
    path.write_text(line + '{"seq": 1, "ti')
    events, offset = read_events(tmp_path)
    assert [(event.seq, event.time, event.type, event.data) for event in events] == [
        (0, 1.5, "phase", {"phase": "loading"})
    ]
    assert read_events(tmp_path, offset) == ([], offset)
    path.write_text(line + '{"seq": 1, "time": 2, "type": "stopped", "step": 0, "path": null}\n')
    assert [event.type for event in read_events(tmp_path, offset)[0]] == ["stopped"]


def test_the_log_tail_starts_at_a_line(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("first line\nsecond line\nthird\n")

    assert log_tail(tmp_path, 12) == "third\n"
    assert log_tail(tmp_path / "nowhere") == ""


def test_what_is_not_there_is_said(tmp_path: Path, adapter: Adapter) -> None:
    provider = LocalProvider()

    with pytest.raises(JobUnknownError):
        provider.poll(str(tmp_path / "nowhere"))
    with pytest.raises(ProviderRejectedError):
        provider.result(str(tmp_path))
    assert not provider.is_running(tmp_path)
    assert not provider.terminate(tmp_path)
    assert not provider.kill(tmp_path)
