"""The OpenAI-compatible API: what it adds to a call of the model, how it batches, what an upload costs in memory.

Run with Postgres and Redis up and the tables migrated (`make bench ARGS=gateway`).

Overhead: the web program as `ftportal up` starts it, before a stub that answers at once as the inference program would.
The same number of requests go to the stub directly and through the API, at one connection and at 16; limits counted.
Batching: the bundled model with an adapter on it, asked by one program at a time and by 16 at once.
Upload: 500 MB, and how much the web process grows meanwhile. Prints name, value, limit, ok.
"""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

import django

django.setup()

# ruff: noqa: E402 - models can only be imported once Django is set up
import psutil

from apps.accounts.models import User, Workspace
from apps.accounts.services import api_key_create, workspace_create
from apps.artifacts.storage import blob_store_file
from apps.gateway.services.served_models import served_model_ensure
from apps.projects.services import project_create
from apps.providers.jobdirs.packing import pack_directory
from apps.registry.services import base_model_ensure, model_version_create

MODEL = "ftportal-tiny"
TOKEN = "benchmark"  # noqa: S105
ALONE, TOGETHER = 500, 4000
CONNECTIONS = 16
QUESTIONS = 64
UPLOAD_MB = 500
STUB = """
import asyncio, json, sys
reply = json.dumps({"text": "Good morning", "finish_reason": "stop", "prompt_tokens": 12, "completion_tokens": 5,
    "seconds": 0.0, "queue_seconds": 0.0, "chances": []}).encode()
answer = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(reply) + reply
class Stub(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.data = transport, b""
    def data_received(self, data):
        self.data += data
        head, found, rest = self.data.partition(b"\\r\\n\\r\\n")
        sizes = (line.split(b":")[1] for line in head.split(b"\\r\\n") if line.lower().startswith(b"content-length"))
        length = int(next(sizes, 0))
        if found and len(rest) >= length:
            self.data = b""
            self.transport.write(answer)
async def main():
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""
Ask = Callable[[], Awaitable[None]]


@contextmanager
def running(command: list[str], ready: Callable[[], bool], **variables: str) -> Iterator[psutil.Process]:
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **variables})
    deadline = time.monotonic() + 120
    try:
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[:3]} did not come up")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def web(inference: int) -> Iterator[tuple[int, psutil.Process]]:
    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", "ftportal.asgi:application", "--port", str(port), "--lifespan", "off",
        "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    variables = {
        "FTPORTAL_INFERENCE_URL": f"http://127.0.0.1:{inference}",
        "FTPORTAL_INFERENCE_TOKEN": TOKEN,
        "FTPORTAL_API_REQUESTS_PER_MINUTE": "10000000",
    }
    with running(command, lambda: listens(port), **variables) as process:
        yield port, process


class Connection:
    """One kept-alive connection; as little work of its own as can be."""

    def __init__(self, target: int, path: str, key: str, body: dict) -> None:
        content = json.dumps(body).encode()
        self._target = target
        self._request = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        ).encode() + content

    async def open(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._target)
        return self

    async def ask(self) -> float:
        """Seconds."""
        started = time.perf_counter()
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(body.decode()[:500])
        return time.perf_counter() - started


async def ask_all(connections: list[Connection], count: int) -> tuple[list[float], float]:
    """The time of each request, and of all: every connection asks again as soon as it is answered."""
    for connection in connections:
        await connection.open()
    await asyncio.gather(*(connection.ask() for connection in connections))
    times: list[float] = []

    async def keep_asking(connection: Connection) -> None:
        for _ in range(count // len(connections)):
            times.append(await connection.ask())

    started = time.perf_counter()
    await asyncio.gather(*(keep_asking(connection) for connection in connections))
    return times, time.perf_counter() - started


def percentile(times: list[float], share: float) -> float:
    """Milliseconds."""
    return 1000 * sorted(times)[min(len(times) - 1, int(share * len(times)))]


def overhead(key: str) -> bool:
    stub = free_port()
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "Good morning, how are you?"}]}
    command = [sys.executable, "-c", STUB, str(stub)]
    fine = True
    with running(command, lambda: listens(stub)), web(stub) as (port, _):
        for count, connections, limits in ((ALONE, 1, (5, None)), (TOGETHER, CONNECTIONS, (20, 60))):

            def made(target: int, path: str, connections: int = connections) -> list[Connection]:
                return [Connection(target, path, key, asked) for _ in range(connections)]

            direct, _ = asyncio.run(ask_all(made(stub, "/chat"), count))
            through, seconds = asyncio.run(ask_all(made(port, "/v1/chat/completions"), count))
            for share, limit in zip((0.5, 0.99), limits, strict=True):
                if limit is not None:
                    added = percentile(through, share) - percentile(direct, share)
                    name = f"chat overhead, p{share * 100:.0f}, {connections} at once"
                    fine &= told(name, added, limit, "ms")
        rate = len(through) / seconds
        fine &= told(f"chats a second, {CONNECTIONS} at once", rate, 500, "/s", least=True)
    return fine


def batching(key: str, name: str, directory: Path) -> bool:
    place, cache = free_port(), str(directory / "cache")
    asked = {
        "model": name,
        "messages": [{"role": "user", "content": "Tell me something about the weather."}],
        "max_tokens": 48,
        "temperature": 0,
    }
    command = [
        sys.executable, "-m", "apps.providers.adapters.local.inference", "--port", str(place), "--cache", cache,
    ]  # fmt: skip
    with running(command, lambda: listens(place), FTPORTAL_INFERENCE_TOKEN=TOKEN), web(place) as (port, _):

        def rate(connections: int) -> float:
            made = [Connection(port, "/v1/chat/completions", key, asked) for _ in range(connections)]
            times, seconds = asyncio.run(ask_all(made, QUESTIONS))
            return len(times) / seconds

        rate(1)  # loads the model
        ratios = [rate(CONNECTIONS) / rate(1) for _ in range(3)]
    return told("16 at once / one at a time, one tuned model", statistics.median(ratios), 3, "x", least=True)


def upload(key: str) -> bool:
    """A body that is never whole in this process either."""
    with web(free_port()) as (port, process):
        before = process.memory_info().rss
        boundary = uuid.uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--{boundary}\r\n'
            f'Content-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
        ).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        piece = os.urandom(1024 * 1024)
        length = len(head) + UPLOAD_MB * len(piece) + len(tail)
        most = before
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(
                f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Length: {length}"
                f"\r\nContent-Type: multipart/form-data; boundary={boundary}\r\n\r\n".encode()
                + head
            )
            started = time.perf_counter()
            for number in range(UPLOAD_MB):
                connection.sendall(piece[number:] + piece[:number])
                most = max(most, process.memory_info().rss)
            connection.sendall(tail)
            answer = connection.recv(65536)
            seconds = time.perf_counter() - started
        if b" 200 " not in answer.split(b"\r\n")[0]:
            raise RuntimeError(answer.decode()[:500])
        print(f"  ({UPLOAD_MB} MB in {seconds:.0f} s)")
        return told("memory grown by an upload of 500 MB", (most - before) / 1e6, 100, "MB")


def told(name: str, value: float, limit: float, unit: str, *, least: bool = False) -> bool:
    fine = value >= limit if least else value <= limit
    shown = f"{'≥' if least else '≤'} {limit:g} {unit}"
    print(f"{name:42} {value:9.2f} {unit:2} {shown:>12}  {'ok' if fine else 'MISSED'}", flush=True)
    return fine


def tuned_model(workspace: Workspace, user: User, directory: Path) -> str:
    """The bundled model with an adapter of the usual size; untrained, which costs as much as a trained one."""
    adapter = directory / "adapter"
    code = (
        "import sys; from peft import LoraConfig, get_peft_model; from transformers import AutoModelForCausalLM as M\n"
        "model = get_peft_model(M.from_pretrained(sys.argv[1]), LoraConfig(r=16, target_modules='all-linear'))\n"
        "model.save_pretrained(sys.argv[2])"
    )
    base_path = str(ROOT / "demo" / "models" / MODEL)
    subprocess.run([sys.executable, "-c", code, base_path, str(adapter)], check=True, capture_output=True)
    packed = directory / "adapter.tar"
    with packed.open("wb") as stream:
        pack_directory(adapter, stream)
    base = base_model_ensure(workspace=workspace, reference=MODEL, actor=user)
    version = model_version_create(
        project=project_create(workspace=workspace, name="Benchmark", by=user),
        base_model=base,
        kind="adapter",
        artifact=blob_store_file(path=packed),
        name="benchmark",
        validation_loss=None,
        best_step=None,
        actor=user,
    )
    return served_model_ensure(workspace=workspace, version=version, suffix="benchmark").name


def main() -> int:
    user = User.objects.create_user(f"{uuid.uuid4().hex}@example.org", None)
    workspace = workspace_create(name=f"Benchmark {uuid.uuid4().hex[:8]}", by=user)
    _, key = api_key_create(workspace=workspace, user=user, name="benchmark")
    with tempfile.TemporaryDirectory(prefix="ftpb-") as name:
        directory = Path(name)
        results = [
            overhead(key),
            batching(key, tuned_model(workspace, user, directory), directory),
            upload(key),
        ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
