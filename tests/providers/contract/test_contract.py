"""Every adapter keeps the promises of `apps/providers/remote.py` about files and jobs."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apps.providers.contracts import JobUnknownError, ProviderError, ProviderUnavailableError, TrainingState
from apps.providers.remote import RemoteTrainer
from tests.providers.contract.peer import Peer, Turn
from tests.providers.contract.steps import (
    ENDS,
    ROWS,
    asked_for,
    every,
    followed,
    judged,
    poll_anew,
    submitted,
    those,
    uploaded,
    write,
)

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
