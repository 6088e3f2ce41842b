"""A stand-in for Fireworks AI: shapes, paths and states as its client (1.2.28) and its documentation have them.

Lines of the file of metrics have the two shapes that were seen of it: values beside `step`, and, of older trainers,
under `data`.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from apps.providers.adapters.fireworks.adapter import FireworksProvider
from apps.providers.contracts import Objective
from tests.providers.contract.peer import Key, Peer, Turn
from tests.providers.loopback import Call, Loopback, Refused, Reply, openai_lines

SECRET = "fw_0123456789abcdefghijABCDEFGHIJ"
WRONG_SECRET = "fw_wrong456789abcdefghijABCDEFGHIJ"
ACCOUNT = "acme"
BASE_MODEL = "accounts/fireworks/models/qwen3-8b"
STATE = "JOB_STATE_"
KINDS = {"supervisedFineTuningJobs": "supervisedFineTuningJobId", "dpoJobs": "dpoJobId"}
ENDS = {"succeeded": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELLED", "expired": "EXPIRED"}
FINAL = (*ENDS.values(), "EARLY_STOPPED")
SUPERVISED_KEYS = {
    "dataset", "displayName", "baseModel", "epochs", "batchSizeSamples", "learningRate", "loraRank",
    "optimizerWeightDecay", "evaluationDataset", "earlyStop",
}  # fmt: skip
PREFERENCE_KEYS = {"dataset", "displayName", "trainingConfig", "lossConfig"}


def told(message: str) -> dict[str, Any]:
    return {"error": {"object": "error", "type": "invalid_request_error", "message": message}}


class FireworksPeer(Peer):
    name = "fireworks"
    base_model = BASE_MODEL
    objectives: ClassVar[tuple[Objective, ...]] = ("supervised", "dpo")
    needs_deployment = True
    secret = SECRET
    reason = "Dataset rendering failed: row 3 ends with a user message"

    def __init__(self) -> None:
        self.http = Loopback(self.answer, secret=SECRET, open_path="/storage/", told=told)
        self.datasets: dict[str, dict[str, Any]] = {}
        self.stored: dict[str, bytes] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.metrics: dict[str, bytes] = {}
        self.steps: dict[str, list[tuple[int, float]]] = {}
        self.deployed: dict[str, list[dict[str, Any]]] = {}
        self.deployments: dict[str, dict[str, Any]] = {}
        self.keeps_what_is_wrong = True
        """Whether a dataset that failed its check says so afterwards, or only in the answer to the check."""
        self.serves_ranges = True
        self.more_of_a_dataset: dict[str, Any] = {}
        self.created = 0
        self.cancels: list[str] = []
        self.page = 2
        self.storage = ""
        self.suspended = "UNSUSPENDED"
        self.clock = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

    def start(self) -> None:
        self.http.start()
        # Files lie at another origin, as they do there.
        self.storage = self.http.url.replace("127.0.0.1", "localhost")

    def stop(self) -> None:
        self.http.stop()

    def adapter(self, key: Key = "good", **settings: str) -> FireworksProvider:
        secret = SECRET if key == "good" else WRONG_SECRET
        known = {"api_key": secret, "account_id": ACCOUNT, "base_url": self.http.url}
        return FireworksProvider({**known, **settings}, allow_private=True)

    def lines(self, objective: Objective, count: int) -> list[bytes]:
        return openai_lines(objective, count)

    # --- As if it happened at Fireworks -------------------------------------------------------------------------

    def advance(self, handle: str, to: Turn) -> None:
        with self.http.lock:
            job = self.jobs[handle]
            if self.state(handle) in FINAL:
                return
            if to in ("running", "metrics"):
                self.turn(handle, "RUNNING")
                if to == "metrics":
                    self.measure(handle)
                return
            self.turn(handle, ENDS[to])
            job["completedTime"] = self.now()
            if to == "succeeded":
                self.complete(handle)
            elif to == "failed":
                job["status"] = {"code": "INVALID_ARGUMENT", "message": self.reason}

    def state(self, handle: str) -> str:
        return str(self.jobs[handle]["state"]).removeprefix(STATE)

    def turn(self, handle: str, state: str) -> None:
        self.jobs[handle]["state"] = STATE + state

    def complete(self, handle: str) -> None:
        """The model carries the job's id, as it does where no other name was asked for."""
        job = self.jobs[handle]
        model = f"accounts/{ACCOUNT}/models/{handle.rpartition('/')[2]}"
        job.get("trainingConfig", job)["outputModel"] = model
        self.deployed[model] = []

    def measure(self, handle: str, *, step: int | None = None, line_end: bytes = b"\n") -> None:
        steps = self.steps[handle]
        step = step or (steps[-1][0] if steps else 0) + 1
        loss = round(1.38 / step, 4)
        steps.append((step, loss))
        values: dict[str, Any] = {"train/loss": loss, "train/lr": 1e-4, "train/total_tokens": 106_622}
        row = {"step": step, "train/step": step, **values}
        if step % 2 == 0:
            row = {"timestamp": self.tick().timestamp(), "step": step, "data": {"train/epoch": 0, **values}}
        self.metrics[handle] += json.dumps(row).encode() + line_end
        if step % 3 == 0:
            row = {"step": step, "eval/loss": round(1.5 / step, 4)}
            self.metrics[handle] += json.dumps(row).encode() + b"\n"

    def tick(self) -> datetime:
        self.clock += timedelta(seconds=7)
        return self.clock

    def now(self) -> str:
        return self.tick().isoformat().replace("+00:00", "Z")

    def measured(self, handle: str) -> list[tuple[int, float]]:
        return self.steps[handle]

    def refuse_next(self, status: int, *, retry_after: float | None = None, times: int = 1) -> None:
        with self.http.lock:
            self.http.refusals = [(status, retry_after)] * times

    def lose_next_create(self) -> None:
        self.http.lose_next = "FineTuningJobs"

    def jobs_created(self) -> int:
        return self.created

    def forget_job(self, handle: str) -> None:
        with self.http.lock:
            del self.jobs[handle]

    def cancel_was_asked(self, handle: str) -> bool:
        return handle in self.cancels

    def deploy(self, model: str) -> None:
        with self.http.lock:
            deployment = f"accounts/{ACCOUNT}/deployments/d{len(self.deployed)}"
            self.deployed[model].append({"deployment": deployment, "state": "DEPLOYED", "default": False})

    # --- The routes ---------------------------------------------------------------------------------------------

    def answer(self, call: Call) -> Any:  # noqa: PLR0911, PLR0912
        if call.parts[:2] == ("v1", "accounts") and len(call.parts) > 4:
            return self.resource(call, call.parts[2], call.parts[3], *call.parts[4].partition(":")[::2])
        match (call.method, *call.parts):
            case ("GET", "v1", "accounts", account):
                if account != ACCOUNT:
                    raise Refused(404, told(f"account {account} not found"))
                return {"name": f"accounts/{ACCOUNT}", "email": "a@acme.test", "suspendState": self.suspended}
            case ("GET", "v1", "accounts", account, "models"):
                return self.paged([self.model(name) for name in self.models(account)], "models", call)
            case ("POST", "v1", "accounts", "acme", "datasets"):
                return self.create_dataset(call.body)
            case ("POST", "v1", "accounts", "acme", ("supervisedFineTuningJobs" | "dpoJobs") as kind):
                return self.create_job(kind, call.query.get(KINDS[kind], ""), call.body)
            case ("POST", "v1", "accounts", "acme", "deployments"):
                return self.create_deployment(call.query["deploymentId"], call.query, call.body)
            case ("PUT", "storage", name):
                size = len(call.content)
                assert call.query["signature"] == "abc"
                assert call.headers["x-goog-content-length-range"] == f"{size},{size}"
                self.stored[name] = call.content
                return b""
            case ("GET", "storage", "metrics", *path):
                return self.ranged(self.metrics["/".join(path)], call.headers.get("range", ""))
            case ("POST", "inference", "v1", "chat", "completions"):
                return self.chat(call.body)
        raise Refused(404, told(f"No route for {call.method} {call.path}"))

    def resource(self, call: Call, account: str, kind: str, name: str, verb: str) -> Any:  # noqa: PLR0911
        handle = f"accounts/{account}/{kind}/{name}"
        match (call.method, kind, verb):
            case ("GET", "models", ""):
                if handle not in self.models(account):
                    raise Refused(404, told(f"model {handle} not found"))
                return self.model(handle) | {"deployedModelRefs": self.deployed.get(handle, [])}
            case ("GET", "datasets", ""):
                return self.dataset(handle)
            case ("POST", "datasets", "getUploadEndpoint"):
                self.dataset(handle)["file"] = next(iter(call.body["filenameToSize"]))
                url = f"{self.storage}/storage/{name}?signature=abc"
                return {"filenameToSignedUrls": {self.dataset(handle)["file"]: url}}
            case ("POST", "datasets", "validateUpload"):
                return self.check(self.dataset(handle), name)
            case ("GET", "supervisedFineTuningJobs" | "dpoJobs", ""):
                return self.job(handle)
            case ("POST", "supervisedFineTuningJobs" | "dpoJobs", "cancel"):
                self.cancel(handle)
                return {}
            case ("GET", "dpoJobs", "getMetricsFileEndpoint"):
                self.job(handle)
                if not self.metrics[handle]:
                    raise Refused(404, told("no metrics yet"))
                return {"signedUrl": self.metrics_url(handle)}
        raise Refused(404, told(f"No route for {call.method} {call.path}"))

    def paged(self, entries: list[Any], key: str, call: Call) -> dict[str, Any]:
        start = int(call.query.get("pageToken", 0))
        after = start + self.page
        return {key: entries[start:after], "nextPageToken": str(after) if after < len(entries) else ""}

    def models(self, account: str) -> list[str]:
        if account == "fireworks":
            return [
                f"accounts/fireworks/models/{name}"
                for name in ("glm-5", "kimi-k3", "llama-guard", "qwen3-8b")
            ]
        return [*self.deployed]

    def model(self, name: str) -> dict[str, Any]:
        if name in self.deployed:
            return {"name": name, "kind": "HF_PEFT_ADDON", "state": "READY"}
        short = name.rpartition("/")[2]
        return {
            "name": name, "displayName": short.title(), "kind": "HF_BASE_MODEL", "state": "READY",
            "tunable": short != "llama-guard", "supportsServerless": True, "contextLength": 40_960,
            "trainingContextLength": 32_768, "deprecationDate": {"year": 2027, "month": 3, "day": 1},
        }  # fmt: skip

    def create_dataset(self, body: dict[str, Any]) -> dict[str, Any]:
        name = f"accounts/{ACCOUNT}/datasets/{body['datasetId']}"
        if name in self.datasets:
            raise Refused(409, told(f"dataset {name} already exists"))
        if len(body["datasetId"]) > 63 or int(body["dataset"]["exampleCount"]) < 1:
            raise Refused(400, told("invalid dataset"))
        self.datasets[name] = {
            "name": name,
            "state": "UPLOADING",
            "status": {"code": "OK"},
            "looks": 0,
            **body["dataset"],
            **self.more_of_a_dataset,
        }
        return self.datasets[name]

    def dataset(self, name: str) -> dict[str, Any]:
        if name not in self.datasets:
            raise Refused(404, told(f"dataset {name} not found"))
        return self.datasets[name]

    def check(self, dataset: dict[str, Any], name: str) -> dict[str, Any]:
        for number, line in enumerate(self.stored[name].splitlines(), 1):
            try:
                json.loads(line)
            except ValueError:
                wrong = f"line {number} is not valid JSON"
                if self.keeps_what_is_wrong:
                    dataset["status"] = {"code": "INVALID_ARGUMENT", "message": wrong}
                raise Refused(400, told(wrong)) from None
        dataset["looks"] += 1
        dataset["state"] = "READY" if dataset["looks"] > 1 else "UPLOADING"
        return {}

    def create_job(self, kind: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        strange = set(body) - (SUPERVISED_KEYS if kind.startswith("s") else PREFERENCE_KEYS)
        if strange or not name:
            raise Refused(400, told(f"unknown fields {strange}"))
        handle = f"accounts/{ACCOUNT}/{kind}/{name}"
        if handle in self.jobs:
            raise Refused(409, told(f"{handle} already exists"))
        for role in ("dataset", "evaluationDataset"):
            if role in body and self.dataset(body[role])["state"] != "READY":
                raise Refused(400, told(f"{role} is not ready"))
        self.created += 1
        self.metrics[handle], self.steps[handle] = b"", []
        self.jobs[handle] = body | {"name": handle, "state": STATE + "CREATING", "createTime": self.now()}
        if kind.startswith("s"):
            cost = {"currencyCode": "USD", "units": "1", "nanos": 750_000_000}
            self.jobs[handle] |= {"estimatedCost": cost, "jobProgress": {"percent": 0, "epoch": 0}}
        return self.job(handle)

    def job(self, handle: str) -> dict[str, Any]:
        if handle not in self.jobs:
            raise Refused(404, told(f"{handle} not found"))
        job = self.jobs[handle]
        if "/supervised" in handle and self.metrics[handle]:
            job = job | {"metricsFileSignedUrl": self.metrics_url(handle)}
        return job

    def metrics_url(self, handle: str) -> str:
        return f"{self.storage}/storage/metrics/{handle}?signature=abc"

    def ranged(self, content: bytes, wanted: str) -> Reply:
        if not wanted or not self.serves_ranges:
            return Reply(content)
        start = int(wanted.removeprefix("bytes=").partition("-")[0])
        if start >= len(content):
            return Reply(b"", 416, {"content-range": f"bytes */{len(content)}"})
        return Reply(
            content[start:], 206, {"content-range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        )

    def cancel(self, handle: str) -> None:
        self.job(handle)
        if self.state(handle) in (*FINAL, "CANCELLING"):
            raise Refused(400, told(f"job is in state {self.state(handle)}"))
        self.cancels.append(handle)
        self.turn(handle, "CANCELLING")

    def create_deployment(self, name: str, query: Any, body: dict[str, Any]) -> dict[str, Any]:
        if name in self.deployments:
            raise Refused(409, told(f"deployment {name} already exists"))
        if body.get("deploymentShape") != "default" or body.get("minReplicaCount") != 0:
            raise Refused(400, told("a shape is needed"))
        self.deployments[name] = body
        return body | {"name": f"accounts/{ACCOUNT}/deployments/{name}", "state": "CREATING"}

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        model, _, deployment = body["model"].partition("#")
        places = [ref["deployment"] for ref in self.deployed.get(model, [])]
        if model not in self.models("fireworks") and deployment not in places:
            raise Refused(404, told("Model not found, inaccessible, and/or not deployed"))
        message = {"role": "assistant", "content": f"{body['model']} says: on its way."}
        return {
            "id": "c-1", "object": "chat.completion", "created": 1_779_000_000, "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15},
        }  # fmt: skip
