"""The contract suite's stand-in for Google Vertex AI."""

import json
from typing import Any, ClassVar

from apps.providers.adapters.vertex.adapter import VertexProvider
from apps.providers.contracts import Objective
from tests.providers.contract.peer import Key, Peer, Turn
from tests.providers.vertex_server import (
    BUCKET,
    FLASH,
    GOOD_KEY,
    LOCATION,
    PARENT,
    PROJECT,
    SECRET,
    WRONG_KEY,
    VertexServer,
)

PLANNED_STEPS = 8
FINAL = {f"JOB_STATE_{word}" for word in ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")}


class VertexPeer(Peer):
    name = "vertex"
    base_model = FLASH
    objectives: ClassVar[tuple[Objective, ...]] = ("supervised", "dpo")
    judges_files: ClassVar[bool] = False
    secret = SECRET
    reason = "Row 3 of the training file has no contents."

    def __init__(self) -> None:
        self.server = VertexServer()
        self._measured: dict[str, list[tuple[int, float]]] = {}

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def adapter(self, key: Key = "good", **settings: str) -> VertexProvider:
        told = {
            "project": PROJECT,
            "location": LOCATION,
            "service_account": self.server.account(GOOD_KEY if key == "good" else WRONG_KEY),
            "bucket": f"gs://{BUCKET}/team",
            "endpoint_url": self.server.url,
        }
        return VertexProvider(told | settings, allow_private=True)

    def lines(self, objective: Objective, count: int) -> list[bytes]:
        rows: list[dict[str, Any]] = []
        for number in range(count):
            asked = {"role": "user", "parts": [{"text": f"Where is parcel {number}?"}]}
            good, bad = ({"role": "model", "parts": [{"text": text}]} for text in ("On its way.", "No idea."))
            if objective == "supervised":
                rows.append({"contents": [asked, good]})
            else:
                pair = [{"score": 1, "completion": good}, {"score": 0, "completion": bad}]
                rows.append({"contents": [asked], "completions": pair})
        return [json.dumps(row).encode() for row in rows]

    def advance(self, handle: str, to: Turn) -> None:
        with self.server.lock:
            job = self.server.jobs[handle]
            if job["state"] in FINAL:
                return
            if to in ("running", "metrics"):
                self._run(job)
                if to == "metrics":
                    self._measure(job)
                return
            job.update(state=f"JOB_STATE_{to.upper()}", endTime="2026-11-21T11:00:00Z")
            job.pop("tuningJobState", None)
            if to == "failed":
                job["error"] = {"code": 3, "message": self.reason}
            elif to == "succeeded":
                self._succeed(job)

    def _run(self, job: dict[str, Any]) -> None:
        job.update(state="JOB_STATE_RUNNING", tuningJobState="TUNING_JOB_STATE_TUNING")
        kind = "preferenceOptimization" if "preferenceOptimizationSpec" in job else "supervisedTuning"
        job["tuningDataStats"] = {
            f"{kind}DataStats": {
                "tuningDatasetExampleCount": "24",
                "tuningStepCount": str(PLANNED_STEPS),
                "totalBillableTokenCount": "4321",
            }
        }

    def _measure(self, job: dict[str, Any]) -> None:
        folder = f"metrics/{job['name'].rpartition('/')[2]}/"
        steps = self._measured.setdefault(job["name"], [])
        steps.append((len(steps) + 1, round(2 / (len(steps) + 1), 3)))
        lines = [{"step": step, "/train_total_loss": loss} for step, loss in steps]
        lines += [{"step": step, "/eval_total_loss": loss + 0.1} for step, loss in steps if step % 2 == 0]
        self.server.put(
            f"{folder}metrics.jsonl", b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        )
        job["gcsMetricsUri"] = f"gs://{BUCKET}/{folder}"

    def _succeed(self, job: dict[str, Any]) -> None:
        number = job["name"].rpartition("/")[2]
        job["tunedModel"] = {
            "model": f"{PARENT}/models/{number}@1",
            "endpoint": f"{PARENT}/endpoints/{number}2",
            "checkpoints": [
                {"checkpointId": str(each), "epoch": str(each), "step": str(4 * each),
                 "endpoint": f"{PARENT}/endpoints/{number}{each}"}
                for each in (1, 2)
            ],
        }  # fmt: skip

    def measured(self, handle: str) -> list[tuple[int, float]]:
        return self._measured.get(handle, [])

    def refuse_next(self, status: int, *, retry_after: float | None = None, times: int = 1) -> None:
        self.server.refuse(status, retry_after, times)

    def lose_next_create(self) -> None:
        self.server.lose_next = True

    def jobs_created(self) -> int:
        return self.server.created

    def forget_job(self, handle: str) -> None:
        del self.server.jobs[handle]

    def cancel_was_asked(self, handle: str) -> bool:
        return handle in self.server.asked_to_cancel

    def deploy(self, model: str) -> None:
        """Google has done it already."""
