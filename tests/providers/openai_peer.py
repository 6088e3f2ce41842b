"""The contract suite's stand-in for a server of the OpenAI protocol."""

import base64
import json
import threading
from typing import Any, ClassVar

from apps.providers.adapters.openai.adapter import OpenAIProvider
from apps.providers.contracts import Objective
from tests.providers.contract.peer import Key, Peer, Turn
from tests.providers.openai_server import BASE_MODEL, FINAL, SECRET, Server, State

COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
PLANNED_STEPS = 8
WRONG_SECRET = "sk-proj-wrong-0123456789abcdefghijABCD"


class OpenAIPeer(Peer):
    name = "openai"
    base_model = BASE_MODEL
    objectives: ClassVar[tuple[Objective, ...]] = ("supervised", "dpo")
    secret = SECRET
    reason = "The job failed due to an invalid training file: row 3 has no assistant message."

    def __init__(self) -> None:
        self.state = State()
        self._server: Server | None = None
        self.url = ""

    def start(self) -> None:
        self._server = Server(self.state)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def adapter(self, key: Key = "good", **settings: str) -> OpenAIProvider:
        secret = SECRET if key == "good" else WRONG_SECRET
        return OpenAIProvider({"base_url": self.url, "api_key": secret, **settings}, allow_private=True)

    def lines(self, objective: Objective, count: int) -> list[bytes]:
        rows: list[dict[str, Any]] = []
        for number in range(count):
            question = {"role": "user", "content": f"Where is parcel {number}?"}
            answer, other = ({"role": "assistant", "content": text} for text in ("On its way.", "No idea."))
            if objective == "supervised":
                rows.append({"messages": [question, answer]})
            else:
                pair = {"preferred_output": [answer], "non_preferred_output": [other]}
                rows.append({"input": {"messages": [question]}, **pair})
        return [json.dumps(row).encode() for row in rows]

    def advance(self, handle: str, to: Turn) -> None:
        with self.state.lock:
            job = self.state.jobs[handle]
            if job["status"] in (to, *FINAL):
                return
            if to == "metrics":
                self._start(job)
                self.measure(handle)
            elif to == "running":
                self._start(job)
            else:
                job.update(status=to, finished_at=self.state.now())
                if to == "succeeded":
                    self._succeed(job)
                elif to == "failed":
                    job["error"] = {
                        "code": "invalid_training_file",
                        "message": self.reason,
                        "param": "training_file",
                    }
                    self.state.add_event(handle, self.reason, level="error")

    def _start(self, job: dict[str, Any]) -> None:
        if job["status"] != "running":
            job["status"] = "running"
            self.state.add_event(job["id"], "Fine-tuning job started")

    def measure(self, handle: str, *, told: bool = True) -> None:
        """One step more; `told` says whether an event reports it."""
        steps = self.state.steps[handle]
        number = len(steps) + 1
        step = {
            "step": number,
            "train_loss": round(2 / number, 3),
            "train_mean_token_accuracy": round(1 - 0.5 / number, 3),
            "valid_loss": round(2.5 / number, 3),
            "valid_mean_token_accuracy": round(0.9 - 0.5 / number, 3),
        }
        steps.append(step)
        if not told:
            return
        data = step if number % 2 == 0 else {key: value for key, value in step.items() if "valid" not in key}
        message = f"Step {number}/{PLANNED_STEPS}: training loss={step['train_loss']:.2f}"
        self.state.add_event(handle, message, {**data, "total_steps": PLANNED_STEPS})

    def _succeed(self, job: dict[str, Any]) -> None:
        table = [",".join(COLUMNS)]
        for step in self.state.steps[job["id"]]:
            values: list[Any] = [step[name] for name in ("step", "train_loss", "train_mean_token_accuracy")]
            even = step["step"] % 2 == 0
            values += [step["valid_loss"], step["valid_mean_token_accuracy"]] if even else ["", ""]
            table.append(",".join(map(str, values)))
        content = base64.b64encode(("\n".join(table) + "\n").encode())
        results = self.state.add_file("step_metrics.csv", "fine-tune-results", content)
        suffix = job["user_provided_suffix"] or ""
        model = f"ft:{job['model']}:peer:{suffix}:{job['id'][-8:]}"
        job.update(fine_tuned_model=model, result_files=[results["id"]], trained_tokens=4321)
        self.state.add_event(job["id"], f"New fine-tuned model created: {model}")
        self.state.add_event(job["id"], "The job has successfully completed")

    def measured(self, handle: str) -> list[tuple[int, float]]:
        return [(int(step["step"]), step["train_loss"]) for step in self.state.steps[handle]]

    def refuse_next(self, status: int, *, retry_after: float | None = None, times: int = 1) -> None:
        with self.state.lock:
            self.state.refusals = [(status, retry_after)] * times

    def lose_next_create(self) -> None:
        self.state.lose_create = True

    def jobs_created(self) -> int:
        return self.state.created

    def forget_job(self, handle: str) -> None:
        with self.state.lock:
            del self.state.jobs[handle]

    def cancel_was_asked(self, handle: str) -> bool:
        return handle in self.state.cancels
