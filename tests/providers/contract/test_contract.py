"""Every adapter keeps the promises of `apps/providers/remote.py` and of `InferenceProvider`."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from apps.providers.contracts import (
    ChatRequest,
    InferenceProvider,
    JobUnknownError,
    ModelReference,
    Objective,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
    TrainingState,
)
from apps.providers.registry import PROVIDERS, provider_class
from apps.providers.remote import DataFacts, FileRole, FileState, RemoteProgress, RemoteRequest, RemoteTrainer
from tests.providers.contract.peer import Peer, Turn
from tests.providers.contract.peers import PEERS

ROWS = 24
LOOKS_AT_A_FILE = 20
ENDS: dict[Turn, TrainingState] = {
    "succeeded": TrainingState.SUCCEEDED,
    "failed": TrainingState.FAILED,
    "cancelled": TrainingState.STOPPED,
}


def those(condition: Callable[[type[Peer]], Any] = lambda _: True) -> pytest.MarkDecorator:
    """Over all peers for which it is true."""
    chosen = [peer for peer in PEERS if condition(peer)]
    assert chosen, "no peer can do this"
    return pytest.mark.parametrize("peer", chosen, indirect=True, ids=[peer.name for peer in chosen])


every = those()


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    peer: Peer = request.param()
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def adapter(peer: Peer) -> Iterator[RemoteTrainer]:
    adapter = peer.adapter()
    yield adapter
    adapter.close()


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def uploaded(
    adapter: RemoteTrainer,
    peer: Peer,
    place: Path,
    *,
    role: FileRole = "training",
    objective: Objective = "supervised",
) -> str:
    path = write(place / f"{role}.jsonl", peer.lines(objective, ROWS))
    return adapter.upload(path, role=role, objective=objective, filename=path.name)


def judged(adapter: RemoteTrainer, file: str) -> FileState:
    """What the provider says about a file once it has looked at it."""
    for _ in range(LOOKS_AT_A_FILE):
        state = adapter.file_state(file)
        if state.readiness != "working":
            return state
    raise AssertionError(f"{file} is still being looked at")


def asked_for(peer: Peer, file: str, key: str = "job-1", **changes: Any) -> RemoteRequest:
    return RemoteRequest(
        **{
            "job_key": key,
            "base_model": peer.base_model,
            "training_file": file,
            "suffix": "tickets",
            **changes,
        }
    )


def submitted(adapter: RemoteTrainer, peer: Peer, place: Path, key: str = "job-1") -> str:
    file = uploaded(adapter, peer, place)
    assert judged(adapter, file).readiness == "ready"
    return adapter.submit(asked_for(peer, file, key))


def poll_anew(peer: Peer, handle: str, cursor: str = "") -> RemoteProgress:
    """As another process would: nothing is known but the handle and the cursor."""
    adapter = peer.adapter()
    try:
        return adapter.poll(handle, cursor=cursor)
    finally:
        adapter.close()


def model_asked(peer: Peer, model: str | None = None) -> ChatRequest:
    reference = ModelReference(provider_model=model) if model else ModelReference(base=peer.base_model)
    return ChatRequest(model=reference, messages=[{"role": "user", "content": "Where is my parcel?"}])


# --- What it is ----------------------------------------------------------------------------------------------


@every
def test_it_is_in_the_registry_under_its_name(peer: Peer, adapter: RemoteTrainer):
    assert peer.name in PROVIDERS
    assert isinstance(adapter, provider_class(peer.name))
    assert isinstance(adapter, RemoteTrainer)
    assert isinstance(adapter, InferenceProvider)
    assert adapter.name == peer.name
    assert adapter.label


@every
def test_its_settings_can_be_shown_as_a_form(peer: Peer, adapter: RemoteTrainer):
    names = [setting.name for setting in adapter.settings]
    assert len(set(names)) == len(names)
    assert all(setting.label for setting in adapter.settings)
    assert all(not setting.default for setting in adapter.settings if setting.secret)
    assert all(setting.default in ("", *setting.choices) for setting in adapter.settings if setting.choices)


@every
def test_a_base_model_can_be_trained_towards_what_the_provider_offers(peer: Peer, adapter: RemoteTrainer):
    for objective in peer.objectives:
        support = adapter.support(peer.base_model, objective)
        assert support is not None
        assert support.data_format
        for number in support.numbers:
            assert number.low <= number.high, number.name
            assert number.usual is None or number.low <= number.usual <= number.high, number.name


# --- A live look ---------------------------------------------------------------------------------------------


@every
def test_a_look_says_that_all_is_well(peer: Peer, adapter: RemoteTrainer):
    seen = adapter.check()
    assert (seen.reachable, seen.authenticated) == (True, True), seen.message
    assert seen.message
    listed = [*(seen.trainable or ()), *(seen.served or ())]
    assert not listed or any(model.id == peer.base_model for model in listed)


@every
def test_a_look_with_a_wrong_key_says_so(peer: Peer):
    adapter = peer.adapter("wrong")
    seen = adapter.check()
    adapter.close()
    assert (seen.reachable, seen.authenticated) == (True, False), seen.message
    assert seen.message


@every
def test_a_look_where_no_one_answers_says_so(peer: Peer, adapter: RemoteTrainer):
    peer.stop()
    seen = adapter.check()
    assert (seen.reachable, seen.authenticated) == (False, None), seen.message
    assert seen.message


@those(lambda peer: peer.is_http)
def test_a_look_does_not_raise_when_the_provider_has_a_fault(peer: Peer, adapter: RemoteTrainer):
    peer.refuse_next(500, times=20)
    seen = adapter.check()
    assert seen.authenticated is not True
    assert seen.message


# --- Before anything is sent -----------------------------------------------------------------------------------


def problem_codes(adapter: RemoteTrainer, request: RemoteRequest, **facts: Any) -> set[str]:
    data = DataFacts(**{"rows": 1000, "validation_rows": 0, "bytes": 200_000, **facts})
    problems = adapter.validate(request, data)
    assert all(problem.message for problem in problems)
    return {problem.code for problem in problems}


@every
def test_nothing_is_wrong_with_a_plain_request(peer: Peer, adapter: RemoteTrainer):
    problems = adapter.validate(asked_for(peer, "file"), DataFacts(rows=1000, bytes=200_000))
    assert [problem for problem in problems if problem.severity == "error"] == []


@every
def test_limits_of_the_data_are_held(peer: Peer, adapter: RemoteTrainer):
    support = adapter.support(peer.base_model, "supervised")
    assert support is not None
    request = asked_for(peer, "file")
    held = {
        "too_few_rows": (support.fewest_rows > 1, {"rows": support.fewest_rows - 1}),
        "too_many_rows": (support.most_rows is not None, {"rows": (support.most_rows or 0) + 1}),
        "file_too_large": (support.most_bytes is not None, {"bytes": (support.most_bytes or 0) + 1}),
        "too_many_validation_rows": (
            support.most_validation_rows is not None,
            {"validation_rows": (support.most_validation_rows or 0) + 1},
        ),
        "row_too_long": (
            support.most_tokens_a_row is not None,
            {"longest_row_tokens": (support.most_tokens_a_row or 0) + 1},
        ),
    }
    for code, (has_limit, facts) in held.items():
        assert (code in problem_codes(adapter, request, **facts)) == has_limit, code


@every
def test_hyperparameters_that_it_does_not_take_are_named(peer: Peer, adapter: RemoteTrainer):
    support = adapter.support(peer.base_model, "supervised")
    assert support is not None
    strange = asked_for(peer, "file", hyperparameters={"moonlight": 3.0})
    assert "unknown_hyperparameter" in problem_codes(adapter, strange)
    for number in support.numbers:
        above = asked_for(peer, "file", hyperparameters={number.name: number.high * 10 + 1})
        found = adapter.validate(above, DataFacts(rows=1000))
        assert any(entry.code == "hyperparameter_out_of_range" for entry in found), number.name
        assert any(entry.field == number.name for entry in found), number.name


@those(lambda peer: peer.knows_models)
def test_a_model_that_does_not_exist_is_named(peer: Peer, adapter: RemoteTrainer):
    request = asked_for(peer, "file", base_model="no-such-model-9b")
    assert "unknown_model" in problem_codes(adapter, request)


# --- Files -----------------------------------------------------------------------------------------------------


@every
def test_a_file_is_sent_and_ready(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    for objective in peer.objectives:
        file = uploaded(adapter, peer, tmp_path, objective=objective)
        assert file
        assert judged(adapter, file).readiness == "ready"
    validation = uploaded(adapter, peer, tmp_path, role="validation")
    assert judged(adapter, validation).readiness == "ready"


@those(lambda peer: peer.judges_files)
def test_a_file_that_can_not_be_trained_on_is_refused_with_a_reason(
    peer: Peer, adapter: RemoteTrainer, tmp_path: Path
):
    path = write(tmp_path / "broken.jsonl", [b"this is no row"] * ROWS)
    file = adapter.upload(path, role="training", objective="supervised", filename=path.name)
    state = judged(adapter, file)
    assert state.readiness == "refused"
    assert state.message


# --- Submitting exactly once -----------------------------------------------------------------------------------


@every
def test_a_submitted_job_is_found_by_its_key(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    others = [submitted(adapter, peer, tmp_path, f"other-{number}") for number in range(25)]
    handle = submitted(adapter, peer, tmp_path, "job-1")
    later = submitted(adapter, peer, tmp_path, "job-12")
    assert len({*others, handle, later}) == 27
    assert adapter.find("job-1") == handle
    assert adapter.find("other-0") == others[0]
    assert adapter.find("job-2") is None


@every
def test_a_lost_reply_leaves_exactly_one_job(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    file = uploaded(adapter, peer, tmp_path)
    assert judged(adapter, file).readiness == "ready"
    request = asked_for(peer, file)
    peer.lose_next_create()
    with pytest.raises(ProviderUnavailableError) as lost:
        adapter.submit(request)
    assert lost.value.code == "reply_lost"
    assert lost.value.retryable
    handle = adapter.find(request.job_key)
    assert handle
    assert peer.jobs_created() == 1
    assert adapter.poll(handle).state in (TrainingState.QUEUED, TrainingState.RUNNING)


@those(lambda peer: peer.is_http)
def test_a_job_that_was_refused_can_be_submitted_again(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    file = uploaded(adapter, peer, tmp_path)
    assert judged(adapter, file).readiness == "ready"
    peer.refuse_next(429, retry_after=2, times=20)
    with pytest.raises(ProviderUnavailableError):
        adapter.submit(asked_for(peer, file))
    peer.refuse_next(429, times=0)
    assert adapter.find("job-1") is None
    assert adapter.submit(asked_for(peer, file))
    assert peer.jobs_created() == 1


@every
def test_a_quote_is_a_sum_or_nothing(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    quote = adapter.quote(asked_for(peer, uploaded(adapter, peer, tmp_path)))
    assert quote is None or (quote.cost >= 0 and len(quote.currency) == 3)


# --- Following a job -------------------------------------------------------------------------------------------


@those(lambda peer: peer.waits_in_queue)
def test_a_new_job_waits(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    assert adapter.poll(handle).state == TrainingState.QUEUED


@every
@pytest.mark.parametrize("end", ENDS)
def test_a_job_is_followed_to_its_end(peer: Peer, adapter: RemoteTrainer, tmp_path: Path, end: Turn):
    """Cancelled here means by somebody else."""
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "running")
    running = adapter.poll(handle)
    assert running.state == TrainingState.RUNNING
    assert running.failure is None
    peer.advance(handle, end)
    ended = adapter.poll(handle, cursor=running.cursor)
    assert ended.state == ENDS[end]
    assert ended.status
    assert ended.reply
    assert (ended.failure is not None) == (end == "failed")


@every
def test_a_job_that_failed_says_why(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "running")
    peer.advance(handle, "failed")
    failure = adapter.poll(handle).failure
    assert failure is not None
    assert failure.code
    assert peer.reason in failure.message


@those(lambda peer: peer.can_expire)
def test_a_job_that_expired_failed(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "expired")
    ended = adapter.poll(handle)
    assert ended.state == TrainingState.FAILED
    assert ended.failure is not None
    assert ended.failure.code == "expired"
    assert ended.failure.message


def followed(peer: Peer, handle: str, end: Turn = "succeeded") -> list[RemoteProgress]:
    """Polled by a new process each time, with the cursor that the one before it left."""
    turns: list[tuple[Turn, ...]] = [
        (), ("running",), ("metrics",), (), ("metrics", "metrics", "metrics"), (end,), (), (),
    ]  # fmt: skip
    polls: list[RemoteProgress] = []
    for turn in turns:
        for step in turn:
            if step != "metrics" or peer.reports_metrics:
                peer.advance(handle, step)
        polls.append(poll_anew(peer, handle, polls[-1].cursor if polls else ""))
    return polls


@every
def test_events_are_counted_over_polls_by_new_processes(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    polls = followed(peer, handle)
    events = [event for poll in polls for event in poll.events]
    assert [event.seq for event in events] == list(range(len(events)))
    assert events, "a job says something"
    assert polls[-1].events == ()
    assert polls[-1].state == TrainingState.SUCCEEDED
    assert all(event.time > 0 for event in events)
    plans = [index for index, event in enumerate(events) if event.type == "plan"]
    measures = [index for index, event in enumerate(events) if event.type in ("metrics", "evaluation")]
    assert len(plans) <= 1, "a second plan would be taken for a restart"
    assert not plans or not measures or plans[0] < measures[0]
    json.dumps([dict(event.data) for event in events])
    again = poll_anew(peer, handle)
    assert [event.seq for event in again.events] == list(range(len(again.events)))


@those(lambda peer: peer.reports_metrics)
def test_what_was_measured_comes_once_and_in_order(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    polls = followed(peer, handle)
    expected = peer.measured(handle)
    assert len(expected) >= 4
    for events in (
        [event for poll in polls for event in poll.events],
        list(poll_anew(peer, handle).events),
    ):
        found = [(event.data["step"], event.data.get("loss")) for event in events if event.type == "metrics"]
        assert found == expected
    on_the_way = [event.type for poll in polls[:5] for event in poll.events]
    assert "metrics" in on_the_way, "not only at the end"


@every
def test_many_threads_share_one_adapter(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handles = [submitted(adapter, peer, tmp_path, f"job-{number}") for number in range(4)]
    peer.advance(handles[0], "running")
    together = threading.Barrier(8)

    def look(number: int) -> tuple[int, TrainingState]:
        together.wait(timeout=30)
        return number % 4, adapter.poll(handles[number % 4]).state

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(look, range(8)))
    assert all(state == TrainingState.RUNNING for number, state in found if number == 0)
    if peer.waits_in_queue:
        assert all(state == TrainingState.QUEUED for number, state in found if number != 0)


# --- Cancelling ------------------------------------------------------------------------------------------------


@every
def test_a_job_is_cancelled_however_often_it_is_asked(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "running")
    adapter.cancel(handle)
    assert peer.cancel_was_asked(handle)
    adapter.cancel(handle)
    peer.advance(handle, "cancelled")
    adapter.cancel(handle)
    assert adapter.poll(handle).state == TrainingState.STOPPED


@every
@pytest.mark.parametrize("end", ENDS)
def test_a_job_that_has_ended_stays_as_it_is(peer: Peer, adapter: RemoteTrainer, tmp_path: Path, end: Turn):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "running")
    peer.advance(handle, end)
    adapter.cancel(handle)
    assert adapter.poll(handle).state == ENDS[end]


# --- Its result ------------------------------------------------------------------------------------------------


@every
def test_a_job_that_succeeded_has_a_model(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "running")
    with pytest.raises(ProviderError) as early:
        adapter.result(handle)
    assert early.value.code == "no_result"
    peer.advance(handle, "succeeded")
    result = adapter.result(handle)
    assert result.kind == "remote"
    assert result.provider_model
    assert all(checkpoint.provider_model for checkpoint in result.checkpoints)
    steps = [checkpoint.step for checkpoint in result.checkpoints]
    assert steps == sorted(set(steps))


@every
def test_a_job_that_failed_has_no_model(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "running")
    peer.advance(handle, "failed")
    with pytest.raises(ProviderError) as refused:
        adapter.result(handle)
    assert refused.value.code == "no_result"


@every
def test_a_job_that_the_provider_forgot_is_unknown(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    cursor = adapter.poll(handle).cursor
    peer.forget_job(handle)
    for ask in (
        lambda: adapter.poll(handle),
        lambda: adapter.poll(handle, cursor=cursor),
        lambda: adapter.result(handle),
    ):
        with pytest.raises(JobUnknownError):
            ask()
    assert adapter.find("job-1") is None


# --- Answers ---------------------------------------------------------------------------------------------------


@every
def test_a_tuned_model_answers(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "succeeded")
    model = adapter.result(handle).provider_model
    assert model
    assert isinstance(adapter, InferenceProvider)
    asked = model_asked(peer, model)
    if peer.needs_deployment:
        with pytest.raises(ProviderRejectedError) as refused:
            adapter.ensure_model(asked.model)
        assert refused.value.code == "not_deployed"
        peer.deploy(model)
    adapter.ensure_model(asked.model)
    reply = adapter.chat(asked)
    assert reply.text
    assert reply.finish_reason in ("stop", "length")
    assert reply.latency > 0
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 0
    assert reply.usage.completion_tokens > 0


@every
def test_a_base_model_answers(peer: Peer, adapter: RemoteTrainer):
    assert isinstance(adapter, InferenceProvider)
    adapter.ensure_model(model_asked(peer).model)
    assert adapter.chat(model_asked(peer)).text


# --- Refusals --------------------------------------------------------------------------------------------------


def refusal(peer: Peer, status: int, call: Callable[[], Any], **how: Any) -> ProviderError:
    peer.refuse_next(status, times=20, **how)
    with pytest.raises(ProviderError) as refused:
        call()
    peer.refuse_next(status, times=0)
    return refused.value


def calls(adapter: RemoteTrainer, peer: Peer, place: Path) -> list[Callable[[], Any]]:
    """One of each kind that talks to the provider, for a job that runs."""
    handle = submitted(adapter, peer, place)
    peer.advance(handle, "running")
    file = uploaded(adapter, peer, place)
    assert isinstance(adapter, InferenceProvider)
    answering: InferenceProvider = adapter
    return [
        lambda: adapter.poll(handle),
        lambda: adapter.cancel(handle),
        lambda: adapter.find("job-1"),
        lambda: adapter.submit(asked_for(peer, file, "job-2")),
        lambda: uploaded(adapter, peer, place),
        lambda: answering.chat(model_asked(peer)),
    ]


@those(lambda peer: peer.is_http and peer.names_a_pause)
def test_a_provider_that_is_too_busy_is_left_alone_for_as_long_as_it_says(
    peer: Peer, adapter: RemoteTrainer, tmp_path: Path
):
    handle = submitted(adapter, peer, tmp_path)
    error = refusal(peer, 429, lambda: adapter.poll(handle), retry_after=7)
    assert isinstance(error, ProviderUnavailableError)
    assert error.retry_after == 7
    assert error.retryable
    assert adapter.poll(handle).state in (TrainingState.QUEUED, TrainingState.RUNNING)


@those(lambda peer: peer.is_http)
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_faults_of_the_provider_may_pass(peer: Peer, adapter: RemoteTrainer, tmp_path: Path, status: int):
    for call in calls(adapter, peer, tmp_path):
        error = refusal(peer, status, call)
        assert isinstance(error, ProviderUnavailableError)
        assert error.retryable
        assert error.message


@those(lambda peer: peer.is_http)
@pytest.mark.parametrize(("status", "code"), [(401, "unauthenticated"), (403, "forbidden")])
def test_a_key_that_may_not_is_named(
    peer: Peer, adapter: RemoteTrainer, tmp_path: Path, status: int, code: str
):
    for call in calls(adapter, peer, tmp_path):
        error = refusal(peer, status, call)
        assert isinstance(error, ProviderRejectedError)
        assert error.code == code
        assert not error.retryable


@every
def test_a_provider_that_went_away_is_unavailable(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    request = asked_for(peer, uploaded(adapter, peer, tmp_path), "job-2")
    fresh = peer.adapter()
    peer.stop()
    for call in (lambda: fresh.poll(handle), lambda: fresh.find("job-1"), lambda: fresh.submit(request)):
        with pytest.raises(ProviderUnavailableError) as gone:
            call()
        assert gone.value.message
    fresh.close()


@those(lambda peer: peer.is_http)
def test_errors_hold_no_key(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    """The peer repeats the key in its refusals."""
    asking = calls(adapter, peer, tmp_path)
    for status in (400, 401, 403, 404, 409, 422, 429, 500, 503):
        for call in asking:
            peer.refuse_next(status, times=20)
            try:
                call()
            except ProviderError as error:
                told = [str(error), error.message, repr(error.args), json.dumps(error.raw), repr(error)]
                assert not any(peer.secret in text for text in told), (status, told)
            peer.refuse_next(status, times=0)
    peer.refuse_next(401, times=20)
    assert peer.secret not in adapter.check().message
