"""The contract suite's stand-in for Amazon Bedrock."""

import json
from typing import Any, ClassVar

from apps.providers.adapters.bedrock.adapter import BedrockProvider
from apps.providers.contracts import Objective
from tests.providers.bedrock_server import BUCKET, GOOD_KEY, NOVA, REGION, STAGES, BedrockServer
from tests.providers.contract.peer import Key, Peer, Turn

SECRET = "FwoGZXIvYXdzEBYaDPeerSessionToken0123456789"
ROLE = "arn:aws:iam::123456789012:role/bedrock-tuning"
LOSSES = ((0, 1, 2.5), (1, 1, 1.75), (2, 2, 1.25), (3, 2, 1.0))
"""Step, epoch and training loss."""
ENDS = {"succeeded": "Completed", "failed": "Failed", "cancelled": "Stopped"}


class BedrockPeer(Peer):
    name = "bedrock"
    base_model = NOVA
    reports_metrics: ClassVar[bool] = False
    can_expire: ClassVar[bool] = False
    judges_files: ClassVar[bool] = False
    needs_deployment: ClassVar[bool] = True
    secret = SECRET
    reason = "Validation failed: record 3 has no assistant turn."

    def __init__(self) -> None:
        self.server = BedrockServer()

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def adapter(self, key: Key = "good", **settings: str) -> BedrockProvider:
        told = {
            "region": REGION,
            "access_key_id": GOOD_KEY if key == "good" else "AKIAWRONGWRONGWRONG0",
            "secret_access_key": "wJalrXUtnFEMI/peer/secret",
            "session_token": SECRET,
            "role_arn": ROLE,
            "s3_uri": f"s3://{BUCKET}/team",
            "endpoint_url": self.server.url,
        }
        return BedrockProvider(told | settings, allow_private=True)

    def lines(self, objective: Objective, count: int) -> list[bytes]:
        return [
            json.dumps(
                {
                    "schemaVersion": "bedrock-conversation-2024",
                    "messages": [
                        {"role": "user", "content": [{"text": f"Where is parcel {number}?"}]},
                        {"role": "assistant", "content": [{"text": "On its way."}]},
                    ],
                }
            ).encode()
            for number in range(count)
        ]

    def advance(self, handle: str, to: Turn) -> None:
        job = self.server.job_by_arn(handle)
        if job.status in ENDS.values():
            return
        if to == "running":
            self.server.stages[handle] = dict(
                zip(STAGES, ("Completed", "Completed", "InProgress"), strict=True)
            )
            return
        job.status = ENDS[to]
        stages = self.server.stages[handle]
        if to == "failed":
            job.failure_message = self.reason
            stages["trainingDetails"] = "Failed"
        elif to == "succeeded":
            self.server.stages[handle] = dict.fromkeys(STAGES, "Completed")
            self._write_metrics(job)

    def _write_metrics(self, job: Any) -> None:
        rows = [f"{step},{epoch},{loss},1.0" for step, epoch, loss in LOSSES]
        self.server.put(
            self.metrics_key(job, "training_artifacts/step_wise_training_metrics.csv"),
            "\n".join(["step_number,epoch_number,training_loss,perplexity", *rows]) + "\n",
        )
        self.server.put(
            self.metrics_key(job, "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv"),
            "step_number,epoch_number,validation_loss,perplexity\n1,1,1.9,6.6\n3,2,1.4,4.0\n",
        )
        job.training_metrics = {"trainingLoss": 1.0}
        job.validation_metrics = [{"validationLoss": 1.4}]

    @staticmethod
    def metrics_key(job: Any, name: str) -> str:
        return f"team/output/model-customization-job-{job.job_arn.rpartition('/')[2]}/{name}"

    def measured(self, handle: str) -> list[tuple[int, float]]:
        return [(step, loss) for step, _, loss in LOSSES]

    def refuse_next(self, status: int, *, retry_after: float | None = None, times: int = 1) -> None:
        self.server.refuse(status, retry_after, times)

    def lose_next_create(self) -> None:
        self.server.lose_next = True

    def jobs_created(self) -> int:
        return self.server.created

    def forget_job(self, handle: str) -> None:
        del self.server.jobs[self.server.job_by_arn(handle).job_name]

    def cancel_was_asked(self, handle: str) -> bool:
        return handle in self.server.asked_to_stop

    def deploy(self, model: str) -> None:
        self.server.add_deployment(model, "Active")
