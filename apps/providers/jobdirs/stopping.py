"""Ending early: on SIGTERM, or because the process that watches over the run is gone."""

import os
import signal
import threading
from types import FrameType

import psutil

from apps.providers.jobdirs.errors import StopRequested

POLL_SECONDS = 1.0
# A run that can't save within this time after its supervisor vanished is holding the machine for nobody.
ORPHAN_GRACE_SECONDS = 120.0


class StopSignal:
    """Whether someone asked the run to stop.

    While `immediate` is set, nothing is worth saving and the request interrupts whatever runs. Otherwise it
    only sets `requested`, and the run looks at it between steps.
    """

    def __init__(self) -> None:
        self.requested = False
        self.immediate = True
        self.reason = "signal"

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)
        supervisor = os.environ.get("FTPORTAL_SUPERVISOR_PID")
        if supervisor:
            threading.Thread(target=self._watch, args=(int(supervisor),), daemon=True).start()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if self.immediate:
            raise StopRequested

    def _watch(self, pid: int) -> None:
        waiting = threading.Event()
        try:
            supervisor = psutil.Process(pid)
            while supervisor.is_running() and supervisor.status() != psutil.STATUS_ZOMBIE:
                waiting.wait(POLL_SECONDS)
        except psutil.NoSuchProcess:
            pass
        self.reason = "supervisor_gone"
        os.kill(os.getpid(), signal.SIGTERM)
        waiting.wait(ORPHAN_GRACE_SECONDS)
        os._exit(1)
