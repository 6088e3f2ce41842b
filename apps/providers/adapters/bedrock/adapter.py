"""Amazon Bedrock: models tuned by customization jobs, files in S3, answers through Converse."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from apps.providers.adapters.bedrock.answers import Answers
from apps.providers.adapters.bedrock.catalogue import Catalogue
from apps.providers.adapters.bedrock.clients import ROLE_ARN, SETTINGS, Clients, split_uri
from apps.providers.adapters.bedrock.errors import error_code
from apps.providers.adapters.bedrock.families import aws_hyperparameters, model_id, support_of
from apps.providers.adapters.bedrock.progress import Measured, plain, progress_of, read_csv, state_of
from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    ModelReference,
    Objective,
    Problem,
    ProviderError,
    ProviderRejectedError,
    TrainingResult,
    TrainingState,
)
from apps.providers.limits import limit_problems
from apps.providers.remote import (
    ConnectionCheck,
    DataFacts,
    FileRole,
    FileState,
    Quote,
    RemoteProgress,
    RemoteRequest,
    Setting,
    Support,
)

if TYPE_CHECKING:
    from mypy_boto3_bedrock.type_defs import GetModelCustomizationJobResponseTypeDef

MOST_METRICS_BYTES = 32 * 1024 * 1024
METRICS = {
    "training": "training_artifacts/step_wise_training_metrics.csv",
    "validation": "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv",
}
_ALREADY_THERE = {"ConflictException", "ResourceInUseException"}
_ENDED_ALREADY = {*_ALREADY_THERE, "ValidationException"}


class BedrockProvider:
    """A handle is a job's ARN. The provider's name of a file is its S3 URI."""

    name: ClassVar[str] = "bedrock"
    label: ClassVar[str] = "Amazon Bedrock"
    settings: ClassVar[tuple[Setting, ...]] = SETTINGS

    def __init__(self, settings: Mapping[str, str], *, allow_private: bool = False) -> None:
        self._clients = Clients(settings, allow_private=allow_private)
        self._catalogue = Catalogue(self._clients)
        self._answers = Answers(self._clients)

    def close(self) -> None:
        self._clients.close()

    # --- Before a job ---------------------------------------------------------------------------------------

    def check(self) -> ConnectionCheck:
        try:
            trainable = self._catalogue.trainable(fresh=True)
            served = self._catalogue.served()
        except ProviderError as error:
            return _failed_check(error)
        problem = self._bucket_problem()
        region = self._clients.setting("region")
        count = "no model that can be trained" if not trainable else f"{len(trainable)} models to train"
        return ConnectionCheck(
            reachable=True,
            authenticated=True,
            message=problem or f"Connected to {region}: {count}, {len(served)} that answer.",
            trainable=trainable,
            served=served,
        )

    def support(self, base_model: str, objective: Objective) -> Support | None:
        return support_of(base_model, objective)

    def validate(self, request: RemoteRequest, data: DataFacts) -> list[Problem]:
        support = support_of(request.base_model, request.objective)
        if support is None:
            return [_unsupported(request)]
        problems = limit_problems(support, request, data)
        if not ROLE_ARN.fullmatch(self._clients.setting("role_arn")):
            problems.append(
                Problem(
                    code="bad_role_arn",
                    message="The connection's role ARN must look like arn:aws:iam::123456789012:role/name.",
                )
            )
        return problems + self._catalogue.problems(request.base_model)

    def quote(self, request: RemoteRequest) -> Quote | None:
        return None

    # --- Files ----------------------------------------------------------------------------------------------

    def upload(self, path: Path, *, role: FileRole, objective: Objective, filename: str) -> str:
        """The same content gets the same key, so a repeated upload leaves one file."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        stem = re.sub(r"[^a-zA-Z0-9_-]+", "-", Path(filename).stem).strip("-")[:80] or role
        bucket, key = self._clients.bucket, self._clients.key("files", digest[:16], f"{stem}.jsonl")
        with self._clients.errors(), path.open("rb") as file:
            self._clients.s3().upload_fileobj(file, bucket, key)
        return f"s3://{bucket}/{key}"

    def file_state(self, file: str) -> FileState:
        """Whether it lies there: Bedrock looks into files only when a job has begun."""
        bucket, key = split_uri(file)
        try:
            with self._clients.errors():
                self._clients.s3().head_object(Bucket=bucket, Key=key)
        except ProviderRejectedError as error:
            if error.code != "not_found":
                raise
            return FileState(
                readiness="refused", message="The file is not in the bucket (any more). Send it again."
            )
        return FileState(readiness="ready")

    # --- Jobs -----------------------------------------------------------------------------------------------

    def submit(self, request: RemoteRequest) -> str:
        """The token makes a repeat harmless; a name that is taken can only be the job's own."""
        name = job_name(request.job_key)
        bucket, output = self._clients.bucket, self._clients.key("output")
        more: dict[str, Any] = {}
        if request.validation_file:
            more["validationDataConfig"] = {"validators": [{"s3Uri": request.validation_file}]}
        try:
            with self._clients.errors(creating=True):
                made = self._clients.bedrock().create_model_customization_job(
                    jobName=name,
                    customModelName=tuned_name(request),
                    roleArn=self._clients.setting("role_arn"),
                    clientRequestToken=hashlib.sha256(request.job_key.encode()).hexdigest(),
                    baseModelIdentifier=request.base_model,
                    customizationType="FINE_TUNING",
                    trainingDataConfig={"s3Uri": request.training_file},
                    outputDataConfig={"s3Uri": f"s3://{bucket}/{output}/"},
                    hyperParameters=aws_hyperparameters(request.hyperparameters),
                    **more,
                )
        except ProviderRejectedError as error:
            found = self.find(request.job_key) if error_code(error) in _ALREADY_THERE else None
            if found is None:
                raise
            return found
        return made["jobArn"]

    def find(self, job_key: str) -> str | None:
        name = job_name(job_key)
        with self._clients.errors():
            pages = (
                self._clients.bedrock()
                .get_paginator("list_model_customization_jobs")
                .paginate(nameContains=name, PaginationConfig={"PageSize": 100})
            )
            for page in pages:
                for job in page["modelCustomizationJobSummaries"]:
                    if job["jobName"] == name:
                        return job["jobArn"]
        return None

    def poll(self, handle: str, *, cursor: str = "") -> RemoteProgress:
        job = self._job(handle)
        return progress_of(job, cursor, lambda: self._measured(job))

    def cancel(self, handle: str) -> None:
        try:
            with self._clients.errors(job=handle):
                self._clients.bedrock().stop_model_customization_job(jobIdentifier=handle)
        except ProviderRejectedError as error:
            if error_code(error) not in _ENDED_ALREADY or self._job(handle)["status"] == "InProgress":
                raise

    def result(self, handle: str) -> TrainingResult:
        job = self._job(handle)
        model = job.get("outputModelArn")
        if state_of(plain(job)) is not TrainingState.SUCCEEDED or not model:
            raise ProviderRejectedError(
                "Amazon Bedrock has no tuned model of this job.", code="no_result", raw=plain(job)
            )
        losses = [entry.get("validationLoss") for entry in job.get("validationMetrics", [])]
        return TrainingResult(
            kind="remote", provider_model=model, validation_loss=losses[0] if losses else None
        )

    # --- Answers --------------------------------------------------------------------------------------------

    def ensure_model(
        self, model: ModelReference, open_artifact: Callable[[], BinaryIO] | None = None
    ) -> None:
        self._answers.ensure(model)

    def chat(self, request: ChatRequest) -> ChatReply:
        return self._answers.chat(request)

    # --- Inside ---------------------------------------------------------------------------------------------

    def _job(self, handle: str) -> "GetModelCustomizationJobResponseTypeDef":
        with self._clients.errors(job=handle):
            return self._clients.bedrock().get_model_customization_job(jobIdentifier=handle)

    def _measured(self, job: "GetModelCustomizationJobResponseTypeDef") -> Measured:
        """The two metrics files: one that is missing or may not be read is a note, no failure of the job."""
        bucket, prefix = split_uri(job["outputDataConfig"]["s3Uri"].rstrip("/") + "/")
        folder = f"{prefix}model-customization-job-{job['jobArn'].rpartition('/')[2]}/"
        rows: dict[str, list[dict[str, Any]]] = {"training": [], "validation": []}
        notes = []
        wanted = ["training", *(["validation"] if job["validationDataConfig"].get("validators") else [])]
        for which in wanted:
            try:
                text = self._read(bucket, folder + METRICS[which])
            except ProviderRejectedError as error:
                notes.append(f"The {which} losses could not be read from the bucket: {error.message}")
                continue
            rows[which] = read_csv(text, f"{which}_loss")
        return Measured(rows["training"], rows["validation"], tuple(notes))

    def _read(self, bucket: str, key: str) -> str:
        with self._clients.errors():
            body = self._clients.s3().get_object(Bucket=bucket, Key=key)["Body"]
            with body:
                content = body.read(MOST_METRICS_BYTES + 1)
        if len(content) > MOST_METRICS_BYTES:
            raise ProviderRejectedError("the file is too large.", code="too_large")
        return content.decode("utf-8", "replace")

    def _bucket_problem(self) -> str:
        try:
            with self._clients.errors():
                self._clients.s3().head_bucket(Bucket=self._clients.bucket)
        except ProviderError as error:
            return f"The key works, but the bucket of the S3 URI can't be used: {error.message}"
        return ""


def job_name(job_key: str) -> str:
    """A job's name at Bedrock: unique in the account, and the same for the same key."""
    name = f"ftportal-{job_key}"
    if re.fullmatch(r"[a-zA-Z0-9-]{1,62}[a-zA-Z0-9]", name):
        return name
    return f"ftportal-{hashlib.sha256(job_key.encode()).hexdigest()[:40]}"


def tuned_name(request: RemoteRequest) -> str:
    """The tuned model's name: the suffix for people, and what makes it unique in the account."""
    suffix = re.sub(r"[^a-zA-Z0-9]+", "-", request.suffix).strip("-")[:40].rstrip("-")
    return f"{suffix or 'ftportal'}-{hashlib.sha256(request.job_key.encode()).hexdigest()[:16]}"


def _unsupported(request: RemoteRequest) -> Problem:
    name = model_id(request.base_model)
    if support_of(name, "supervised") is None:
        return Problem(
            code="unknown_model",
            field="base_model",
            message=f"“{name}” is no model that can be trained for chats on Bedrock.",
        )
    return Problem(
        code="objective_not_supported",
        field="objective",
        message="Bedrock's customization jobs learn from answers, not from preference pairs.",
    )


def _failed_check(error: ProviderError) -> ConnectionCheck:
    """A refusal for the key's sake was an answer, all the same; with a wrong setting nothing was asked."""
    reachable = error.code != "unreachable" and not error.code.startswith("bad_")
    authenticated = {"unauthenticated": False, "forbidden": True}.get(error.code)
    return ConnectionCheck(reachable=reachable, authenticated=authenticated, message=error.message)
