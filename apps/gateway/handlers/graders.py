"""/v1/fine_tuning/alpha/graders"""

import time
from typing import Any

import msgspec
from starlette.responses import Response

from apps.gateway.calls import Call, reply
from apps.gateway.errors import ApiError
from apps.gateway.graders import GraderError, check_grader, score

ERRORS = (
    "formula_parse_error", "invalid_variable_error", "model_grader_parse_error", "model_grader_refusal_error",
    "model_grader_server_error", "other_error", "python_grader_runtime_error", "python_grader_server_error",
    "sample_parse_error", "truncated_observation_error", "unresponsive_reward_error",
)  # fmt: skip
DETAILS = (
    "model_grader_server_error_details", "python_grader_runtime_error_details", "python_grader_server_error_type",
)  # fmt: skip


class RunBody(msgspec.Struct):
    grader: dict[str, Any]
    model_sample: str
    item: dict[str, Any] | None = None


class ValidateBody(msgspec.Struct):
    grader: dict[str, Any]


async def run(call: Call) -> Response:
    body = await call.json(RunBody)
    started = time.perf_counter()
    try:
        check_grader(body.grader)
        reward = score(body.grader, sample=body.model_sample, item=body.item or {})
    except GraderError as error:
        raise ApiError(str(error), code="invalid_grader", param="grader") from error
    return reply(
        {
            "reward": reward,
            "metadata": {
                "name": body.grader["name"],
                "type": body.grader["type"],
                "errors": dict.fromkeys(ERRORS, False) | dict.fromkeys(DETAILS),
                "execution_time": time.perf_counter() - started,
                "scores": {body.grader["name"]: reward},
                "token_usage": None,
                "sampled_model_name": None,
            },
            "sub_rewards": {},
            "model_grader_token_usage_per_model": {},
        }
    )


async def validate(call: Call) -> Response:
    body = await call.json(ValidateBody)
    try:
        check_grader(body.grader)
    except GraderError as error:
        raise ApiError(str(error), code="invalid_grader", param="grader") from error
    return reply({"grader": body.grader})
