"""`python -m apps.providers.adapters.local.inference (--socket PATH | --port N) --cache DIR`

The bearer token is taken from FTPORTAL_INFERENCE_TOKEN; without it everyone who reaches the socket or port
may ask.
"""

import argparse
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import psutil
import uvicorn

from apps.providers.adapters.local.inference.app import InferenceApp
from apps.providers.adapters.local.inference.scheduler import Scheduler
from apps.providers.adapters.local.inference.store import ModelStore

# Threads that spin while they wait take the processor from the other programs of a small machine; letting
# them sleep costs nothing measurable here and keeps twice the speed when the machine is shared. Read when
# torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
MEBIBYTE = 1024 * 1024


class Server(uvicorn.Server):
    """Ends at once on SIGTERM: nothing it holds is worth waiting for."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        signal.signal(signal.SIGTERM, _exit)
        signal.signal(signal.SIGINT, _exit)
        yield


def _exit(number: int, frame: FrameType | None) -> None:
    os._exit(0)


def main() -> None:
    arguments = _arguments()
    store = ModelStore(Path(arguments.cache), limit_bytes=arguments.max_model_mib * MEBIBYTE)
    budget = arguments.memory_budget_mib * MEBIBYTE or psutil.virtual_memory().total // 2
    scheduler = Scheduler(store, budget_bytes=budget, idle_seconds=arguments.idle_seconds)
    scheduler.start()
    app = InferenceApp(store, scheduler, os.environ.get("FTPORTAL_INFERENCE_TOKEN") or None).build()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        backlog=4096,
        # Longer than any client keeps an idle connection, so that none is closed just as it is used again.
        timeout_keep_alive=300,
    )
    Server(config).run(sockets=[_listen(arguments)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Answers chats with local models.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", help="path of a unix socket")
    where.add_argument("--port", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--cache", required=True, help="directory for uploaded models")
    parser.add_argument(
        "--memory-budget-mib", type=int, default=0, help="weights kept in memory; 0: half of it"
    )
    parser.add_argument("--idle-seconds", type=float, default=900.0, help="free a model unused for so long")
    parser.add_argument(
        "--max-model-mib", type=int, default=64 * 1024, help="largest model that may be uploaded"
    )
    return parser.parse_args()


def _listen(arguments: argparse.Namespace) -> socket.socket:
    if arguments.socket is None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((arguments.host, arguments.port))
        return listener
    path = Path(arguments.socket)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Only this user may connect.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listener


if __name__ == "__main__":
    main()
