"""Everything is stopped in the middle of a training, and started again: as at every update of a machine."""

import signal

import pytest

from tests.integration.holding import hold_trainer, release, wait_for_signal
from tests.integration.main_job import new_project
from tests.integration.stack import GO_DOWN, Together

pytestmark = pytest.mark.integration

STEPS = 48


def test_a_training_goes_on_after_everything_was_stopped_and_started(together: Together):
    work = new_project(together, "Restart")
    version = work.version_of_tickets(120)
    job = work.train(version, batch_size="2", max_steps=str(STEPS), evaluation_steps="8")
    trainer = hold_trainer(together, job, step=10)

    together.ask_to_stop()
    # Held until it is asked to stop: otherwise a quick machine would have trained to the end by then.
    wait_for_signal(trainer, signal.SIGTERM, GO_DOWN)
    release(trainer)
    together.stop()
    together.start()

    ended = work.wait_for_job(job, "succeeded")

    assert ended["step"] == STEPS
    assert ended["plan"]["resumed_from_step"] >= 10, "it saved where it stood before it stopped"
    assert ended["restarts"] == 0, "a stop of the machine is no fault of the job"
    points = work.stack.rows(
        "SELECT step FROM jobs_metricpoint WHERE job_id = %s AND kind = 'train' ORDER BY seq", job
    )
    assert [point["step"] for point in points] == list(range(1, STEPS + 1))
    assert work.visitor.get(f"{work.base}train/{job}/").status == 200, "who was signed in still is"
