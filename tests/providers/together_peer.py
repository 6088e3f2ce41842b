"""A stand-in for Together AI: shapes, fields and statuses as its client (3.1.1) and documentation have them."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from apps.providers.adapters.together.adapter import TogetherProvider
from apps.providers.contracts import Objective
from tests.providers.contract.peer import Key, Peer, Turn
from tests.providers.loopback import Call, Loopback, Refused, Reply, openai_lines

SECRET = "tgp_v1_0123456789abcdefghijABCDEFGHIJ"
WRONG_SECRET = "tgp_v1_wrong456789abcdefghijABCDEFGHIJ"
BASE_MODEL = "Qwen/Qwen3-8B"
PROJECT, SLUG = "proj_7", "acme"
STEPS = 8
FINAL = ("completed", "error", "cancelled")
ENDS = {"succeeded": "completed", "failed": "error", "cancelled": "cancelled"}
STARTED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
CREATE_KEYS = {
    "training_file", "validation_file", "packing", "model", "n_epochs", "learning_rate", "lr_scheduler",
    "warmup_ratio", "max_grad_norm", "weight_decay", "n_checkpoints", "n_evals", "batch_size", "suffix",
    "random_seed", "early_stopping_enabled", "early_stopping_patience", "training_type", "training_method",
}  # fmt: skip
LIMITS = {
    "model_name": BASE_MODEL, "max_num_epochs": 20, "max_num_evals": 100, "max_num_checkpoints": 20,
    "max_learning_rate": 0.01, "min_learning_rate": 1e-8, "min_max_seq_length": 128, "max_seq_length_sft": 32768,
    "max_seq_length_dpo": 16384, "merge_output_lora": True, "supports_full_training": True,
    "supports_reasoning": True, "supports_tools": True, "supports_vision": False,
    "default_gradient_accumulation_steps": 1,
    "full_training": {"max_batch_size": 32, "max_batch_size_dpo": 16, "min_batch_size": 8},
    "lora_training": {
        "default_rank": 64, "max_batch_size": 64, "max_batch_size_dpo": 32, "max_rank": 64, "min_batch_size": 8,
        "target_modules": ["k_proj", "o_proj", "q_proj", "v_proj"],
    },
}  # fmt: skip


def told(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def model_id(name: str) -> str:
    return "ml_" + hashlib.sha256(name.encode()).hexdigest()[:10]


class TogetherPeer(Peer):
    name = "together"
    base_model = BASE_MODEL
    objectives: ClassVar[tuple[Objective, ...]] = ("supervised", "dpo")
    can_expire = False
    needs_deployment = True
    secret = SECRET
    reason = "CUDA ran out of memory on this batch size"

    def __init__(self) -> None:
        self.http = Loopback(self.answer, secret=SECRET, open_path="/storage/", told=told)
        self.files: dict[str, dict[str, Any]] = {}
        self.stored: dict[str, bytes] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, list[dict[str, float]]] = {}
        self.checkpoints: dict[str, list[dict[str, Any]]] = {}
        self.endpoints: list[dict[str, Any]] = []
        self.created = 0
        self.cancels: list[str] = []
        self.price: dict[str, Any] = {
            "estimation_available": True, "allowed_to_proceed": True, "estimated_total_price": 4.25,
            "estimated_train_token_count": 812_000, "estimated_eval_token_count": 0, "user_limit": 100.0,
        }  # fmt: skip
        self.page = 2
        self.brings_events = True
        """Whether a job holds its events."""
        self.storage = ""
        self.clock = STARTED

    def start(self) -> None:
        self.http.start()
        # Files lie at another origin, as they do there.
        self.storage = self.http.url.replace("127.0.0.1", "localhost")

    def stop(self) -> None:
        self.http.stop()

    def adapter(self, key: Key = "good", **settings: str) -> TogetherProvider:
        secret = SECRET if key == "good" else WRONG_SECRET
        return TogetherProvider(
            {"api_key": secret, "base_url": self.http.url, **settings}, allow_private=True
        )

    def lines(self, objective: Objective, count: int) -> list[bytes]:
        return openai_lines(objective, count)

    # --- As if it happened at Together --------------------------------------------------------------------------

    def advance(self, handle: str, to: Turn) -> None:
        with self.http.lock:
            job = self.jobs[handle]
            if job["status"] in FINAL:
                return
            if to in ("running", "metrics"):
                self._start(job)
                if to == "metrics":
                    self.measure(handle)
                return
            job["status"] = ENDS[to]
            if to == "succeeded":
                self._complete(job)
            elif to == "failed":
                self.event(job, "job_error", self.reason, level="error")
            else:
                self.event(job, "job_stopped", "Job was cancelled")

    def _start(self, job: dict[str, Any]) -> None:
        if job["status"] in ("pending", "queued"):
            job["status"], job["started_at"] = "running", self.now()
            self.event(job, "job_start", "Job started")
            self.event(job, "training_start", "Training started", total_steps=STEPS, token_count=812_000)

    def measure(self, handle: str) -> None:
        rows = self.rows[handle]
        step = sum("train/loss" in row for row in rows) + 1
        stamp = int(self.tick().timestamp() * 1e9)
        common = {"train/global_step": step, "train/epoch": step / STEPS}
        rows.append(
            {"timestamp": stamp, **common, "train/loss": round(2.43 / step, 3), "train/grad_norm": 1.21,
             "train/learning_rate": 1e-5}
        )  # fmt: skip
        if step % 2 == 0:
            rows.append({"timestamp": stamp + 10**9, **common, "eval/loss": round(2.6 / step, 3)})
            self.save_checkpoint(handle, step)

    def save_checkpoint(self, handle: str, step: int) -> None:
        job = self.jobs[handle]
        self.event(job, "checkpoint_save", f"Checkpoint saved at step {step}", step=step)
        self.checkpoints[handle].append(
            {"checkpoint_type": f"Intermediate (step {step})", "created_at": self.now(), "path": f"s3://ck/{step}",
             "step": step, "checkpoint": "adapter", "object_name": f"{job['model_object_name']}-ckpt-{step}"}
        )  # fmt: skip

    def _complete(self, job: dict[str, Any]) -> None:
        step = max((int(row["train/global_step"]) for row in self.rows[job["id"]]), default=STEPS)
        job |= {
            "total_price": 4_250_000_000,
            "token_count": 812_000,
            "adapter_object_name": job["model_object_name"] + "-adapter",
        }
        self.checkpoints[job["id"]].append(
            {"checkpoint_type": f"Final (step {step})", "created_at": self.now(), "path": "s3://final", "step": step,
             "checkpoint": "model", "object_name": job["model_object_name"]}
        )  # fmt: skip
        self.event(job, "job_complete", "Job finished")

    def event(self, job: dict[str, Any], kind: str, message: str, level: str = "info", **more: Any) -> None:
        job["events"].append(
            {
                "object": "fine-tune-event",
                "created_at": self.now(),
                "level": level,
                "message": message,
                "type": kind,
                **more,
            }
        )

    def tick(self) -> datetime:
        self.clock += timedelta(seconds=7)
        return self.clock

    def now(self) -> str:
        return self.tick().isoformat().replace("+00:00", "Z")

    def measured(self, handle: str) -> list[tuple[int, float]]:
        return [
            (int(row["train/global_step"]), row["train/loss"])
            for row in self.rows[handle]
            if "train/loss" in row
        ]

    def refuse_next(self, status: int, *, retry_after: float | None = None, times: int = 1) -> None:
        with self.http.lock:
            self.http.refusals = [(status, retry_after)] * times

    def lose_next_create(self) -> None:
        self.http.lose_next = "/v1/fine-tunes"

    def jobs_created(self) -> int:
        return self.created

    def forget_job(self, handle: str) -> None:
        with self.http.lock:
            del self.jobs[handle]

    def cancel_was_asked(self, handle: str) -> bool:
        return handle in self.cancels

    def deploy(self, model: str) -> None:
        with self.http.lock:
            number = len(self.endpoints)
            deployment = {
                "id": f"dep_{number}", "name": f"{SLUG}/support-{number}/a", "state": "DEPLOYMENT_STATE_READY",
                "model": f"projects/{PROJECT}/models/{model_id(model)}/revisions/rv_1", "readyReplicas": 1,
                "modelId": model_id(model), "trafficMode": "TRAFFIC_MODE_LIVE", "createdAt": self.now(),
                "autoscaling": {}, "estimatedEffectiveTrafficShare": 1,
            }  # fmt: skip
            self.endpoints.append(
                {"id": f"ep_{number}", "name": f"{SLUG}/support-{number}", "projectId": PROJECT, "etag": "1",
                 "endpointType": "ENDPOINT_TYPE_DEDICATED", "createdAt": self.now(), "updatedAt": self.now(),
                 "deployments": [deployment], "visibility": "VISIBILITY_PRIVATE",
                 "trafficSplit": [{"deploymentId": deployment["id"], "weight": 1}]}
            )  # fmt: skip

    # --- The routes ---------------------------------------------------------------------------------------------

    def answer(self, call: Call) -> Any:  # noqa: PLR0911, PLR0912
        match (call.method, *call.parts):
            case ("GET", "v3", "whoami"):
                project = {"id": PROJECT, "name": "Acme", "slug": SLUG}
                return {
                    "type": "project_api_key",
                    "project": project,
                    "organization": {"id": "o", "name": "Acme"},
                    "api_key": {},
                }
            case ("GET", "v2", "supported-models"):
                return self.paged(
                    [self.supported("deepseek-ai/DeepSeek-V4", ["PRODUCT_SERVERLESS"]), *self.bases()], call
                )
            case ("GET", "v2", "projects", "proj_7", "models"):
                done = [
                    job["model_object_name"] for job in self.jobs.values() if job["status"] == "completed"
                ]
                return self.paged(
                    [{"id": model_id(name), "name": name, "projectId": PROJECT} for name in done], call
                )
            case ("GET", "v2", "projects", "proj_7", "endpoints"):
                return self.paged(self.endpoints, call)
            case ("POST", "v1", "files"):
                return self.upload_place(call.form())
            case ("PUT", "storage", "hop", name):
                return Reply(None, 307, {"location": f"/storage/final/{name}"})
            case ("PUT", "storage", "final", name):
                self.stored[name] = call.content
                return b""
            case ("POST", "v1", "files", name, "preprocess"):
                return self.preprocess(self.file(name))
            case ("GET", "v1", "files", name):
                return self.looked_at(self.file(name))
            case (method, "v1", "fine-tunes", *rest):
                return self.fine_tunes(call, method, *rest)
            case ("GET", "v1", "finetune", "download"):
                assert call.query["checkpoint"] == "adapter"
                self.job(call.query["ft_id"])
                place = f"{self.storage}/storage/adapters/{call.query['ft_id']}.tar.zst"
                return Reply(None, 302, {"location": place})
            case ("GET", "storage", "adapters", name):
                return ("weights of " + name).encode() * 100_000
            case ("POST", "v1", "chat", "completions"):
                return self.chat(call.body)
        raise Refused(404, told(f"No route for {call.method} {call.path}"))

    def fine_tunes(self, call: Call, *route: str) -> Any:  # noqa: PLR0911
        match route:
            case ("GET", "models", "limits"):
                if call.query["model_name"] != BASE_MODEL:
                    raise Refused(404, told("This model is not available for fine-tuning"))
                return LIMITS
            case ("POST", "estimate-price"):
                return self.price
            case ("POST",):
                return self.create(call.body)
            case ("GET",):
                return {"data": [job | {"events": None} for job in self.jobs.values()]}
            case ("GET", handle):
                return self.job(handle) | ({} if self.brings_events else {"events": None})
            case ("GET", handle, "events"):
                return {"data": self.job(handle)["events"]}
            case ("GET", handle, "metrics"):
                since = int(call.query.get("global_step_from", 0))
                self.job(handle)
                return {"metrics": [row for row in self.rows[handle] if row["train/global_step"] >= since]}
            case ("GET", handle, "checkpoints"):
                self.job(handle)
                return {"data": self.checkpoints[handle]}
            case ("POST", handle, "cancel"):
                return self.cancel(self.job(handle))
        raise Refused(404, told(f"No route for {call.method} {call.path}"))

    def paged(self, entries: list[dict[str, Any]], call: Call) -> dict[str, Any]:
        start = int(call.query.get("after", 0))
        after = start + self.page
        return {"data": entries[start:after], "next_cursor": str(after) if after < len(entries) else None}

    def bases(self) -> list[dict[str, Any]]:
        both = ["PRODUCT_FINE_TUNING", "PRODUCT_SERVERLESS"]
        return [self.supported("google/gemma-4-12b", both), self.supported(BASE_MODEL, both)]

    def supported(self, name: str, products: list[str]) -> dict[str, Any]:
        return {"id": model_id(name), "name": name, "displayName": name.partition("/")[2], "products": products,
                "publisher": name.partition("/")[0], "contextLength": "40960"}  # fmt: skip

    def upload_place(self, form: dict[str, str]) -> Reply:
        if (
            form["purpose"] != "fine-tune"
            or form["file_type"] != "jsonl"
            or not form["file_name"].endswith(".jsonl")
        ):
            raise Refused(400, told("Invalid file"))
        known = next(
            (file["id"] for file in self.files.values() if file["checksum"] == form["checksum"]), None
        )
        if known:
            raise Refused(409, {"file_id": known})
        name = f"file-{len(self.files)}"
        self.files[name] = {
            "id": name, "object": "file", "filename": form["file_name"], "bytes": 0, "created_at": 1_779_000_000,
            "purpose": "fine-tune", "FileType": "jsonl", "checksum": form["checksum"], "looks": 0,
        }  # fmt: skip
        place = f"{self.storage}/storage/hop/{name}?signature=abc"
        return Reply(None, 302, {"location": place, "x-together-file-id": name})

    def preprocess(self, file: dict[str, Any]) -> dict[str, Any]:
        content = self.stored[file["id"]]
        assert hashlib.sha256(content).hexdigest() == file["checksum"]
        return file | {"bytes": len(content), "processing_status": "PENDING"}

    def looked_at(self, file: dict[str, Any]) -> dict[str, Any]:
        """PENDING, RUNNING, then what the check says."""
        file["looks"] += 1
        if file["looks"] <= 2:
            file["processing_status"] = ("PENDING", "RUNNING")[file["looks"] - 1]
            return file
        wrong = self.wrong_with(self.stored[file["id"]])
        error = {"error": wrong, "error_type": "INVALID_FORMAT"} if wrong else {}
        file["processing_status"] = "INVALID_FORMAT" if wrong else "COMPLETED"
        file["validation_report"] = {"valid": not wrong, "file_id": file["id"], **error}
        return file

    @staticmethod
    def wrong_with(content: bytes) -> str:
        for number, line in enumerate(content.splitlines(), 1):
            try:
                row = json.loads(line)
            except ValueError:
                return f"Line {number} is not valid JSON"
            if sum(key in row for key in ("messages", "input", "prompt", "text")) != 1:
                return f"Line {number} does not match exactly one dataset format"
        return ""

    def file(self, name: str) -> dict[str, Any]:
        if name not in self.files:
            raise Refused(404, told(f"File {name} not found"))
        return self.files[name]

    def job(self, handle: str) -> dict[str, Any]:
        if handle not in self.jobs:
            raise Refused(404, told(f"Fine-tune {handle} not found"))
        return self.jobs[handle]

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        strange = set(body) - CREATE_KEYS
        if strange or len(body["suffix"]) > 40 or body["n_epochs"] < 1:
            raise Refused(400, told(f"Invalid request: {strange}"))
        if body["early_stopping_enabled"] and body["n_evals"] < body["early_stopping_patience"] + 2:
            raise Refused(400, told("early stopping needs more evaluations"))
        for role in ("training_file", "validation_file"):
            if body.get(role) and self.file(body[role])["processing_status"] != "COMPLETED":
                raise Refused(400, told(f"{role} is not validated"))
        handle = f"ft-{self.created:08d}-9c1e"
        self.created += 1
        output = f"{SLUG}/{body['model'].split('/')[-1]}-{body['suffix']}"
        self.jobs[handle] = body | {
            "id": handle, "status": "pending", "created_at": self.now(), "updated_at": self.now(), "user_id": "u-1",
            "events": [], "model_output_name": output, "model_object_name": output,
            "progress": {"estimate_available": True, "seconds_remaining": 900},
        }  # fmt: skip
        self.rows[handle], self.checkpoints[handle] = [], []
        self.event(self.jobs[handle], "job_pending", "Fine-tune request created")
        return self.jobs[handle]

    def cancel(self, job: dict[str, Any]) -> dict[str, Any]:
        if job["status"] in FINAL or job["id"] in self.cancels:
            raise Refused(400, told(f"Job in status {job['status']} can not be cancelled"))
        self.cancels.append(job["id"])
        job["status"] = "cancel_requested"
        self.event(job, "cancel_requested", "Cancel requested")
        return job

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        places = [
            place["name"] for endpoint in self.endpoints for place in (endpoint, *endpoint["deployments"])
        ]
        if body["model"] not in (BASE_MODEL, *places):
            raise Refused(404, told(f"Unable to access model {body['model']}"))
        message = {"role": "assistant", "content": f"{body['model']} says: on its way."}
        return {
            "id": "c-1", "object": "chat.completion", "created": 1_779_000_000, "model": body["model"], "prompt": [],
            "choices": [{"index": 0, "message": message, "finish_reason": "eos"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15},
        }  # fmt: skip
