"""Stops what a killed ftportal left behind: a program of its own, with nothing but the standard library.

It reads lines from standard input, which ftportal holds open: `+ <process group> <signal> <stage>` registers
a process group, `- <process group>` forgets one. When ftportal ends, however it ends, standard input closes;
then the leader of each registered group gets its signal, the highest stage first, and after GRACE seconds the whole
group gets SIGKILL. It also inherits the lock of FTPORTAL_HOME: the next ftportal waits until this is done.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

GRACE = 15.0  # seconds for one stage; Postgres writes its last checkpoint in this time
POLL = 0.05


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, tuple[int, int]] = {}
    for line in sys.stdin:
        words = line.split()
        if words[0] == "+":
            groups[int(words[1])] = (int(words[2]), int(words[3]))
        else:
            groups.pop(int(words[1]), None)
    for stage in sorted({stage for _, stage in groups.values()}, reverse=True):
        _stop({group: number for group, (number, at) in groups.items() if at == stage})


def _stop(groups: dict[int, int]) -> None:
    deadline = time.monotonic() + GRACE
    for group, number in groups.items():
        _send(os.kill, group, number)
    left = set(groups)
    while left and time.monotonic() < deadline:
        left = {group for group in left if _send(os.killpg, group, 0)}
        time.sleep(POLL)
    for group in left:
        _send(os.killpg, group, signal.SIGKILL)


def _send(kill: Callable[[int, int], None], target: int, number: int) -> bool:
    """Whether there was anybody to send to."""
    try:
        kill(target, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


if __name__ == "__main__":
    main()
