"""`python -m apps.providers.adapters.local.trainer JOB_DIR`: exit code 0 after a result or a stop, 1 after a
failure.

Nothing heavy is imported before the first event is out, so a watcher sees within a moment that the run is
alive.
"""

import fcntl
import os
import sys
import traceback
from pathlib import Path

from apps.providers.adapters.local.trainer.checkpoints import Checkpoints
from apps.providers.adapters.local.trainer.job import Job, load_job
from apps.providers.jobdirs.errors import StopRequested, TrainingFailed
from apps.providers.jobdirs.events import EventLog
from apps.providers.jobdirs.failures import explain
from apps.providers.jobdirs.files import LOCK_FILE
from apps.providers.jobdirs.process import record_process
from apps.providers.jobdirs.stopping import StopSignal

EXIT_IN_USE = 75


def main(job_dir: Path) -> int:
    stop = StopSignal()
    stop.install()
    lock = os.open(job_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"Another trainer is at work in {job_dir}.", file=sys.stderr)
        return EXIT_IN_USE
    record_process(job_dir, os.getpid())
    events = EventLog(job_dir)
    job: Job | None = None
    try:
        events.emit("phase", phase="loading")
        job = load_job(job_dir)
        # One accelerator a run; a machine with several can run several jobs by setting this for each.
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
        from apps.providers.adapters.local.trainer.run import Run

        Run(job, job_dir, events, stop).execute()
    except StopRequested:
        newest = Checkpoints(job_dir, keep=1).newest() if job is not None and job.resume else None
        events.emit(
            "stopped",
            step=newest.step if newest else 0,
            path=f"checkpoints/checkpoint-{newest.step}" if newest else None,
            reason=stop.reason,
        )
    except Exception as error:
        return _fail(error, job_dir, events)
    return 0


def _fail(error: Exception, job_dir: Path, events: EventLog) -> int:
    if not isinstance(error, TrainingFailed):
        traceback.print_exc()
    failure = explain(error)
    if failure.code == "disk_full":
        # What a full disk cut off is worth nothing, and the last event needs the room.
        Checkpoints(job_dir, keep=1).remove_incomplete()
    events.emit("failed", code=failure.code, message=failure.message)
    return 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m apps.providers.adapters.local.trainer JOB_DIR")
    code = main(Path(sys.argv[1]).resolve())
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is on disk. Waiting for the libraries' threads to wind down would only cost time.
    os._exit(code)
