"""A strict server of the OpenAI fine-tuning protocol for tests: what it is asked wrongly, it refuses.

Shapes and bounds are those of the public OpenAPI description: lists newest first, 20 jobs, 20 events and 10
checkpoints a page, errors with all four keys. It knows no Idempotency-Key, as most servers don't.
"""

import json
import socket
import struct
import threading
import time
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BASE_MODEL = "gpt-4o-mini-2024-07-18"
SHUTDOWN = "2027-01-14"
SECRET = "sk-proj-0123456789abcdefghijABCDEFGHIJ"
CREATE_KEYS = {
    "model", "training_file", "validation_file", "suffix", "seed", "metadata", "method", "hyperparameters",
    "integrations",
}  # fmt: skip
BOUNDS = {"n_epochs": (1, 50), "batch_size": (1, 256), "learning_rate_multiplier": (0, 1000), "beta": (0, 2)}
FINAL = ("succeeded", "failed", "cancelled", "expired")


class Refused(Exception):
    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        self.body = {
            "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        }


class State:
    """What the server holds. Everything happens under the lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.steps: dict[str, list[dict[str, float]]] = {}
        self.cancels: list[str] = []
        self.deleted_models: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.knows_filters = True
        self.oldest_first = False
        self.knows_new_length_only = False
        self.breaks_off = False
        self.is_a_website = False
        self.refusal_code: str | None = None
        self.refusals: list[tuple[int, float | None]] = []
        self.lose_create = False
        self.created = 0
        self.clock = int(time.time()) - 10_000

    def now(self) -> int:
        self.clock += 1
        return self.clock

    def add_event(
        self, job: str, message: str, data: dict[str, Any] | None = None, level: str = "info"
    ) -> None:
        events = self.events[job]
        events.append(
            {
                "object": "fine_tuning.job.event", "id": f"ftevent-{job[6:]}{len(events)}", "level": level,
                "created_at": self.now(), "message": message, "type": "metrics" if data else "message",
                "data": data or {},
            }
        )  # fmt: skip

    def add_file(self, name: str, purpose: str, content: bytes) -> dict[str, Any]:
        number = len(self.files)
        file: dict[str, Any] = {
            "id": f"file-{number}", "object": "file", "bytes": len(content), "created_at": self.now(),
            "filename": name, "purpose": purpose, "status": "processed", "status_details": None,
        }  # fmt: skip
        self.files[file["id"]], self.contents[file["id"]] = file, content
        return file


def listing(newest_first: list[dict[str, Any]], query: dict[str, str], usual: int) -> dict[str, Any]:
    limit = int(query.get("limit", usual))
    if not 1 <= limit <= 100:
        raise Refused(400, f"Invalid 'limit': {limit}", param="limit")
    ids = [entry["id"] for entry in newest_first]
    after = query.get("after")
    if after is not None and after not in ids:
        raise Refused(400, f"No such cursor: {after}", param="after")
    rest = newest_first[ids.index(after) + 1 :] if after is not None else newest_first
    return {"object": "list", "data": rest[:limit], "has_more": len(rest) > limit}


class Protocol:
    """The routes. Each takes the state, the path's parts behind /v1, the query and the body."""

    def __init__(self, state: State) -> None:
        self.state = state

    def answer(self, method: str, parts: list[str], query: dict[str, str], body: Any) -> Any:
        state = self.state
        match (method, *parts):
            case ("GET", "models"):
                models = [self.model(BASE_MODEL), *map(self.model, self.tuned())]
                found: Any = {"object": "list", "data": models}
            case ("GET", "files"):
                newest = [*reversed(state.files.values())]
                wanted = [file for file in newest if query.get("purpose") in (None, file["purpose"])]
                found = {"object": "list", "data": wanted, "has_more": False}
            case ("GET", "files", name):
                found = self.file(name)
            case ("POST", "fine_tuning", "jobs"):
                found = self.create(body)
            case ("GET", "fine_tuning", "jobs"):
                found = self.jobs(query)
            case ("GET", "fine_tuning", "jobs", job):
                found = self.job(job)
            case ("POST", "fine_tuning", "jobs", job, "cancel"):
                found = self.cancel(job)
            case ("GET", "fine_tuning", "jobs", job, "events"):
                events = state.events[self.job(job)["id"]]
                found = listing(events if state.oldest_first else events[::-1], query, 20)
            case ("GET", "fine_tuning", "jobs", job, "checkpoints"):
                found = listing(self.checkpoints(self.job(job)), query, 10)
            case ("POST", "chat", "completions"):
                found = self.chat(body)
            case _:
                raise Refused(404, f"Unknown request URL: {method} /{'/'.join(parts)}", code="unknown_url")
        return found

    def tuned(self) -> list[str]:
        made = [job["fine_tuned_model"] for job in self.state.jobs.values() if job["fine_tuned_model"]]
        return [name for name in made if name not in self.state.deleted_models]

    def model(self, name: str) -> dict[str, Any]:
        owner = "system" if name == BASE_MODEL else "org-peer"
        return {"id": name, "object": "model", "created": 1, "owned_by": owner, "shutdown_date": SHUTDOWN}

    def file(self, name: str) -> dict[str, Any]:
        if name not in self.state.files:
            raise Refused(404, f"No such File object: {name}", param="id")
        return self.state.files[name]

    def job(self, name: str) -> dict[str, Any]:
        if name not in self.state.jobs:
            raise Refused(404, f"Could not find fine tune: {name}", code="fine_tune_not_found")
        return self.state.jobs[name]

    def jobs(self, query: dict[str, str]) -> dict[str, Any]:
        wanted = {key[9:-1]: value for key, value in query.items() if key.startswith("metadata[")}
        if wanted and not self.state.knows_filters:
            raise Refused(400, "Unknown parameter: metadata", param="metadata")
        found = [
            job
            for job in reversed(self.state.jobs.values())
            if wanted.items() <= (job["metadata"] or {}).items()
        ]
        return listing(found, query, 20)

    def upload(self, fields: dict[str, str], filename: str, content: bytes) -> dict[str, Any]:
        if fields.get("purpose") != "fine-tune" or not filename.endswith(".jsonl"):
            raise Refused(400, f"Wrong purpose or file name: {fields} {filename}")
        file = self.state.add_file(filename, "fine-tune", content)
        try:
            for line in content.splitlines():
                json.loads(line)
        except ValueError:
            file.update(status="error", status_details="Line 1 is no JSON.")
        return file

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if set(body) - CREATE_KEYS:
            raise Refused(400, f"Unrecognized request argument: {set(body) - CREATE_KEYS}")
        if body["model"] != BASE_MODEL:
            raise Refused(
                400, f"Model {body['model']} is not available for fine-tuning.", code="model_not_available"
            )
        if self.file(body["training_file"])["status"] != "processed":
            raise Refused(400, "The file is not usable.", code="invalid_training_file")
        method = body.get("method") or {"type": "supervised"}
        block = method.get(method["type"]) or {}
        self.judge(block.get("hyperparameters") or {}, method["type"])
        metadata, seed = body.get("metadata") or {}, body.get("seed")
        short = all(len(key) <= 64 and len(value) <= 512 for key, value in metadata.items())
        if len(metadata) > 16 or not short or not 1 <= len(body.get("suffix", "x")) <= 64:
            raise Refused(400, "Metadata or suffix out of bounds")
        job = {
            "id": f"ftjob-{len(self.state.events):024d}", "object": "fine_tuning.job", "created_at": self.state.now(),
            "error": {}, "finished_at": None, "fine_tuned_model": None,
            "hyperparameters": {"n_epochs": "auto", **(block.get("hyperparameters") or {})},
            "model": body["model"], "organization_id": "org-peer", "result_files": [], "status": "queued",
            "trained_tokens": None, "training_file": body["training_file"],
            "validation_file": body.get("validation_file"), "seed": 7 if seed is None else seed,
            "estimated_finish": None, "integrations": [], "metadata": metadata or None, "method": method,
            "user_provided_suffix": body.get("suffix"),
        }  # fmt: skip
        self.state.jobs[job["id"]] = job
        self.state.events[job["id"]], self.state.steps[job["id"]] = [], []
        self.state.created += 1
        self.state.add_event(job["id"], f"Created fine-tuning job: {job['id']}")
        return job

    def judge(self, values: dict[str, Any], kind: str) -> None:
        for name, value in values.items():
            low, high = BOUNDS[name]
            whole = name in ("n_epochs", "batch_size")
            fits = isinstance(value, int) if whole else isinstance(value, (int, float))
            if value != "auto" and not (fits and low <= value <= high):
                raise Refused(400, f"Invalid {name}: {value!r}", param=name)
            if name == "beta" and kind != "dpo":
                raise Refused(400, "beta is for dpo", param=name)

    def cancel(self, name: str) -> dict[str, Any]:
        job = self.job(name)
        if job["status"] in FINAL:
            raise Refused(400, f"Job has already {job['status']}.", code="job_not_cancellable")
        self.state.cancels.append(name)
        job.update(status="cancelled", finished_at=self.state.now())
        self.state.add_event(name, "Fine-tuning job cancelled")
        return job

    def checkpoints(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        if job["status"] != "succeeded":
            return []
        kept = [step for step in self.state.steps[job["id"]] if step["step"] % 2 == 0]
        return [
            {
                "id": f"ftckpt_{job['id'][6:]}{step['step']}", "object": "fine_tuning.job.checkpoint",
                "created_at": job["finished_at"], "fine_tuning_job_id": job["id"], "step_number": step["step"],
                "fine_tuned_model_checkpoint": f"{job['fine_tuned_model']}:ckpt-step-{step['step']}",
                "metrics": {**step, "full_valid_loss": step["valid_loss"]},
            }
            for step in reversed(kept)
        ]  # fmt: skip

    def chat(self, body: dict[str, Any]) -> Any:
        names = [BASE_MODEL, *self.tuned()]
        if body["model"].partition(":ckpt-step-")[0] not in names:
            raise Refused(404, f"The model `{body['model']}` does not exist", code="model_not_found")
        if not body["messages"] or "max_tokens" in body and "max_completion_tokens" in body:
            raise Refused(400, "Wrong messages or lengths")
        if "max_tokens" in body and self.state.knows_new_length_only:
            raise Refused(
                400, "Use 'max_completion_tokens' instead.", code="unsupported_parameter", param="max_tokens"
            )
        words = ["It", " is", " on", " its", " way."]
        head = {"id": "chatcmpl-1", "created": self.state.now(), "model": body["model"]}
        usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(words), "refusal": None}
            choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
            return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        piece = {**head, "object": "chat.completion.chunk"}
        deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
        deltas += [({"content": word}, None) for word in words]
        deltas += [({}, "stop")]
        chunks = [
            {**piece, "choices": [{"index": 0, "delta": delta, "finish_reason": end}], "usage": None}
            for delta, end in deltas
        ]
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks.append({**piece, "choices": [], "usage": usage})
        return chunks


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Server"

    def do_GET(self) -> None:
        self.handle_any()

    def do_POST(self) -> None:
        self.handle_any()

    def do_DELETE(self) -> None:
        self.handle_any()

    def log_message(self, *_: Any) -> None:
        pass

    def handle_any(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        place = urlsplit(self.path)
        parts = [unquote(part) for part in place.path.strip("/").split("/")][1:]
        state = self.server.state
        with state.lock:
            state.requests.append((self.command, place.path))
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            if state.is_a_website:
                self.send(200, b"<!doctype html><title>Welcome</title>", {"content-type": "text/html"})
                return
            try:
                self.refuse()
                query = {key: values[-1] for key, values in parse_qs(place.query).items()}
                reply = self.dispatch(parts, query, content)
            except Refused as refused:
                self.send(refused.status, json.dumps(refused.body).encode(), refused.headers)
                return
            if state.lose_create and (self.command, parts) == ("POST", ["fine_tuning", "jobs"]):
                state.lose_create = False
                self.break_off()
                return
        if isinstance(reply, bytes):
            self.send(200, reply, {"content-type": "application/octet-stream"})
        elif isinstance(reply, list):
            chunks = reply[:3] if state.breaks_off else reply
            lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
            lines += "" if state.breaks_off else "data: [DONE]\n\n"
            self.send(200, lines.encode(), {"content-type": "text/event-stream"})
        else:
            self.send(200, json.dumps(reply).encode(), {})

    def refuse(self) -> None:
        state = self.server.state
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        if state.refusals:
            status, retry_after = state.refusals.pop(0)
            code = state.refusal_code
            raise Refused(status, f"No. You asked with {key}.", code=code, retry_after=retry_after)
        if key != SECRET:
            raise Refused(401, f"Incorrect API key provided: {key}.", code="invalid_api_key")

    def dispatch(self, parts: list[str], query: dict[str, str], content: bytes) -> Any:
        state = self.server.state
        protocol = Protocol(state)
        if (self.command, parts) == ("POST", ["files"]):
            head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
            fields: dict[str, str] = {}
            filename, uploaded = "", b""
            for part in BytesParser(policy=HTTP).parsebytes(head + content).iter_parts():
                name = str(part.get_param("name", header="content-disposition"))
                if name == "file":
                    filename, uploaded = str(part.get_filename()), bytes(part.get_payload(decode=True))
                else:
                    fields[name] = part.get_content().strip()
            return protocol.upload(fields, filename, uploaded)
        if self.command == "GET" and len(parts) == 3 and parts[2] == "content":
            return state.contents[protocol.file(parts[1])["id"]]
        body = json.loads(content or b"{}")
        state.bodies.append(body)
        return protocol.answer(self.command, parts, query, body)

    def break_off(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", "x-request-id": "req-1", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, state: State) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state = state
