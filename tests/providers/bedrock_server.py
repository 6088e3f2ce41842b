"""Bedrock and S3 for tests: moto's server, with a layer in front for what moto lacks.

Moto keeps the jobs and the files. In front of it: real ARNs that jobs can be asked by, statuses of the stages, tokens
that make a create happen once, pages of ten, a stop that takes a while, models with their life cycle, deployments,
Converse, keys that are refused, and faults. Shapes as in botocore's description of the API (bedrock 2023-04-20).
"""

import io
import json
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlencode

from moto.bedrock.models import bedrock_backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.models import s3_backends
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request, Response

ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "training-files"
GOOD_KEY = "AKIAGOODGOODGOODGOOD"
PREFIX = f"arn:aws:bedrock:{REGION}:{ACCOUNT}"
STAGES = ("validationDetails", "dataProcessingDetails", "trainingDetails")
PAGE = 10
NOVA, CLAUDE, OLD_LLAMA = (
    "amazon.nova-lite-v1:0",
    "anthropic.claude-3-haiku-20240307-v1:0:200k",
    "meta.llama3-2-3b-instruct-v1:0:128k",
)
ERRORS = {
    400: "ValidationException", 401: "UnrecognizedClientException", 403: "AccessDeniedException",
    404: "ResourceNotFoundException", 409: "ConflictException", 422: "ValidationException",
    429: "ThrottlingException", 500: "InternalServerException", 503: "ServiceUnavailableException",
}  # fmt: skip


def model(name: str, maker: str, *, tunable: bool = True, **life: str) -> dict[str, Any]:
    return {
        "modelArn": f"arn:aws:bedrock:{REGION}::foundation-model/{name}",
        "modelId": name,
        "modelName": name.split(".")[1][:20],
        "providerName": maker,
        "outputModalities": ["TEXT"],
        "customizationsSupported": ["FINE_TUNING"] if tunable else [],
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": {"status": "LEGACY" if life else "ACTIVE", **life},
    }


class BedrockServer:
    """A WSGI application and the server it runs in."""

    def __init__(self) -> None:
        self.models = [
            model(NOVA, "Amazon"),
            model(CLAUDE, "Anthropic", endOfLifeTime="2030-09-10T00:00:00Z"),
            model(OLD_LLAMA, "Meta", endOfLifeTime="2026-01-15T00:00:00Z"),
        ]
        self.deployments: dict[str, dict[str, Any]] = {}
        self.provisioned: list[dict[str, Any]] = []
        self.stages: dict[str, dict[str, str]] = {}
        self.details: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, str] = {}
        self.asked_to_stop: set[str] = set()
        self.requests: list[tuple[str, str, Any]] = []
        self.created = 0
        self.lose_next = False
        self.stop_reason = "end_turn"
        self._faults: list[tuple[int, float | None]] = []
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.RLock()
        self._server: BaseWSGIServer | None = None
        self.url = ""

    # --- Around it -----------------------------------------------------------------------------------------

    @property
    def jobs(self) -> dict[str, Any]:
        """Moto's own, by name."""
        jobs: dict[str, Any] = bedrock_backends[ACCOUNT][REGION].model_customization_jobs
        return jobs

    def start(self) -> None:
        bedrock_backends[ACCOUNT][REGION].reset()
        s3_backends[ACCOUNT]["aws"].reset()
        s3_backends[ACCOUNT]["aws"].create_bucket(BUCKET, REGION)
        self._server = make_server("127.0.0.1", 0, self, True, request_handler=MotoRequestHandler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def refuse(self, status: int, retry_after: float | None, times: int) -> None:
        with self._lock:
            self._faults = [(status, retry_after)] * times

    def put(self, key: str, content: str) -> None:
        s3_backends[ACCOUNT]["aws"].put_object(BUCKET, key, content.encode())

    def job_by_arn(self, arn: str) -> Any:
        return next((job for job in list(self.jobs.values()) if job.job_arn == arn), None)

    # --- Requests ------------------------------------------------------------------------------------------

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if self._server is None:
            return _broken_off(environ)
        request = Request(environ)
        with self._lock:
            fault = self._faults.pop() if self._faults else None
        is_s3 = "/s3/aws4_request" in request.headers.get("Authorization", "")
        if fault is not None:
            request.get_data()
            return self._refusal(request, is_s3, *fault)(environ, start)
        if f"Credential={GOOD_KEY}/" not in request.headers.get("Authorization", ""):
            request.get_data()
            return self._refusal(request, is_s3, 401, None)(environ, start)
        if is_s3:
            answered: Iterable[bytes] = self._moto(environ, start)
            return answered
        body = request.get_data()
        told = json.loads(body) if body else None
        with self._lock:
            self.requests.append((request.method, request.path, told))
        answer = self._answer(request, body, told)
        if self.lose_next and (request.method, request.path) == ("POST", "/model-customization-jobs"):
            self.lose_next = False
            return _broken_off(environ)
        return answer(environ, start)

    def _answer(self, request: Request, body: bytes, told: Any) -> Response:
        for method, pattern, handler in (
            ("POST", r"/model-customization-jobs", self._create),
            ("GET", r"/model-customization-jobs", self._list),
            ("POST", r"/model-customization-jobs/(.+)/stop", self._stop_job),
            ("GET", r"/model-customization-jobs/(.+)", self._get),
            ("GET", r"/foundation-models", self._foundation_models),
            ("POST", r"/model-customization/custom-model-deployments", self._deploy),
            ("GET", r"/model-customization/custom-model-deployments", self._deployments),
            ("GET", r"/provisioned-model-throughputs", self._provisioned),
            ("POST", r"/model/(.+)/converse", self._converse),
        ):
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                with self._lock:
                    return handler(request, body, told, *found.groups())
        return error(404, f"no such path: {request.path}")

    def _refusal(self, request: Request, is_s3: bool, status: int, retry_after: float | None) -> Response:
        token = request.headers.get("X-Amz-Security-Token", "")
        kind, text = ERRORS.get(status, "InternalServerException"), f"Refused as asked, for {token}."
        if is_s3:
            xml = f"<Error><Code>{kind}</Code><Message>{text}</Message></Error>"
            refusal = Response(xml, status, content_type="application/xml")
        else:
            refusal = error(status, text, kind)
        if retry_after is not None:
            refusal.headers["Retry-After"] = f"{retry_after:g}"
        return refusal

    def _from_moto(self, request: Request, body: bytes, path: str, query: str = "") -> tuple[int, Any]:
        environ = request.environ | {
            "PATH_INFO": path, "RAW_URI": path, "REQUEST_URI": path, "QUERY_STRING": query,
            "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)),
        }  # fmt: skip
        environ.pop("werkzeug.request", None)
        content, status, _ = run_wsgi_app(self._moto, environ, buffered=True)
        return int(status.split()[0]), json.loads(b"".join(content))

    # --- Jobs ----------------------------------------------------------------------------------------------

    def _create(self, request: Request, body: bytes, told: Any) -> Response:
        token = told["clientRequestToken"]
        if token in self.tokens:
            return json_response({"jobArn": self.tokens[token]}, 201)
        status, answer = self._from_moto(request, body, request.path)
        if status != 200:
            return error(409, answer.get("message", "taken"), "ConflictException")
        job = self.jobs[told["jobName"]]
        job.job_arn = f"{PREFIX}:model-customization-job/{told['baseModelIdentifier']}/{short()}"
        job.output_model_arn = f"{PREFIX}:custom-model/{told['baseModelIdentifier']}/{short()}"
        self.tokens[token] = job.job_arn
        self.stages[job.job_arn] = dict.fromkeys(STAGES, "NotStarted")
        self.created += 1
        return json_response({"jobArn": job.job_arn}, 201)

    def _list(self, request: Request, body: bytes, told: Any) -> Response:
        asked = {name: values[0] for name, values in parse_qs(request.query_string.decode()).items()}
        asked["maxResults"] = str(PAGE)
        return json_response(self._from_moto(request, body, request.path, urlencode(asked))[1])

    def _get(self, request: Request, body: bytes, told: Any, name: str) -> Response:
        job = self.job_by_arn(name) or self.jobs.get(name)
        if job is None:
            return error(404, "The specified job does not exist.")
        status, answer = self._from_moto(request, body, f"/model-customization-jobs/{job.job_name}")
        answer["statusDetails"] = {
            stage: {"status": word, "lastModifiedTime": "2026-11-21T10:00:00Z"}
            for stage, word in self.stages[job.job_arn].items()
        }
        answer.setdefault("validationDataConfig", {"validators": []})
        if job.status != "Failed":
            del answer["failureMessage"]
        if job.status not in ("Completed", "Failed", "Stopped"):
            del answer["endTime"]
        if job.status != "Completed":
            for late in ("outputModelArn", "trainingMetrics", "validationMetrics"):
                answer.pop(late, None)
        return json_response(answer | self.details.get(job.job_arn, {}), status)

    def _stop_job(self, request: Request, body: bytes, told: Any, name: str) -> Response:
        job = self.job_by_arn(name) or self.jobs.get(name)
        if job is None:
            return error(404, "The specified job does not exist.")
        if job.status != "InProgress":
            return error(409, f"The job is in status {job.status} and can't be stopped.")
        job.status = "Stopping"
        self.asked_to_stop.add(job.job_arn)
        return json_response({})

    # --- Models --------------------------------------------------------------------------------------------

    def _foundation_models(self, request: Request, body: bytes, told: Any) -> Response:
        wanted = request.args.get("byCustomizationType")
        found = [each for each in self.models if not wanted or wanted in each["customizationsSupported"]]
        return json_response({"modelSummaries": found})

    def _deploy(self, request: Request, body: bytes, told: Any) -> Response:
        return json_response(
            {"customModelDeploymentArn": self.add_deployment(told["modelArn"], "Creating")}, 202
        )

    def add_deployment(self, model: str, status: str) -> str:
        arn = f"{PREFIX}:custom-model-deployment/{short()}"
        self.deployments[arn] = {
            "customModelDeploymentArn": arn,
            "customModelDeploymentName": f"tuned-{len(self.deployments)}",
            "modelArn": model,
            "createdAt": "2026-11-21T10:00:00Z",
            "status": status,
        }
        return arn

    def _deployments(self, request: Request, body: bytes, told: Any) -> Response:
        wanted = {"modelArn": "modelArnEquals", "status": "statusEquals"}
        found = [
            each
            for each in self.deployments.values()
            if all(request.args.get(asked, each[field]) == each[field] for field, asked in wanted.items())
        ]
        return json_response({"modelDeploymentSummaries": found})

    def _provisioned(self, request: Request, body: bytes, told: Any) -> Response:
        found = [each for each in self.provisioned if each["modelArn"] == request.args["modelArnEquals"]]
        return json_response({"provisionedModelSummaries": found})

    def _converse(self, request: Request, body: bytes, told: Any, name: str) -> Response:
        answering = {each["modelId"] for each in self.models} | {
            arn for arn, each in self.deployments.items() if each["status"] == "Active"
        }
        answering |= {each["provisionedModelArn"] for each in self.provisioned}
        if name not in answering:
            return error(404, "The model or deployment does not exist.")
        words = sum(len(part["text"].split()) for each in told["messages"] for part in each["content"])
        return json_response(
            {
                "output": {"message": {"role": "assistant", "content": [{"text": "It is on its way."}]}},
                "stopReason": self.stop_reason,
                "usage": {"inputTokens": words, "outputTokens": 5, "totalTokens": words + 5},
                "metrics": {"latencyMs": 12},
            }
        )


def short() -> str:
    """Twelve characters, as at the end of ARNs."""
    return secrets.token_hex(6)


def json_response(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content), status, content_type="application/json")


def error(status: int, text: str, kind: str = "") -> Response:
    refusal = json_response({"message": text}, status)
    refusal.headers["x-amzn-ErrorType"] = kind or ERRORS[status]
    return refusal


def _broken_off(environ: dict[str, Any]) -> Iterable[bytes]:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return []
