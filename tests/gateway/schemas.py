"""What the public OpenAPI description of the OpenAI API says about each answer: required keys, types, known values.

Written down by hand from openai/openai-openapi (openapi.yaml, schemas OpenAIFile, FineTuningJob, FineTuningJobEvent,
FineTuningJobCheckpoint, Model, CreateChatCompletionResponse, CreateChatCompletionStreamResponse, Error), as of
August 2026.
"""

from typing import Any

from jsonschema import Draft202012Validator

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
NOTHING: Schema = {"type": "null"}


def maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, NOTHING]}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def many(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def thing(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def listing(schema: Schema) -> Schema:
    return thing(
        {"object": one_of("list"), "data": many(schema), "has_more": FLAG},
        {"first_id": maybe(TEXT), "last_id": maybe(TEXT)},
    )


FILE = thing(
    {
        "id": TEXT,
        "object": one_of("file"),
        "bytes": WHOLE,
        "created_at": WHOLE,
        "filename": TEXT,
        "purpose": one_of(
            "assistants", "assistants_output", "batch", "batch_output", "fine-tune", "fine-tune-results", "vision",
            "user_data",
        ),
        "status": one_of("uploaded", "processed", "error"),
    },
    {"expires_at": maybe(WHOLE), "status_details": maybe(TEXT)},
)  # fmt: skip
FILES = listing(FILE)
DELETED_FILE = thing({"id": TEXT, "object": one_of("file"), "deleted": FLAG})

AUTO_OR_NUMBER = {"anyOf": [one_of("auto"), NUMBER]}
HYPERPARAMETERS = thing(
    {},
    {"n_epochs": AUTO_OR_NUMBER, "batch_size": AUTO_OR_NUMBER, "learning_rate_multiplier": AUTO_OR_NUMBER},
)
JOB = thing(
    {
        "id": TEXT,
        "object": one_of("fine_tuning.job"),
        "created_at": WHOLE,
        "error": maybe(thing({"code": TEXT, "message": TEXT, "param": maybe(TEXT)})),
        "fine_tuned_model": maybe(TEXT),
        "finished_at": maybe(WHOLE),
        "hyperparameters": HYPERPARAMETERS,
        "model": TEXT,
        "organization_id": TEXT,
        "result_files": many(TEXT),
        "status": one_of("validating_files", "queued", "running", "succeeded", "failed", "cancelled"),
        "trained_tokens": maybe(WHOLE),
        "training_file": TEXT,
        "validation_file": maybe(TEXT),
        "seed": WHOLE,
    },
    {
        "estimated_finish": maybe(WHOLE),
        "integrations": maybe(many({"type": "object"})),
        "metadata": maybe({"type": "object", "additionalProperties": TEXT}),
        "method": thing({"type": one_of("supervised", "dpo", "reinforcement")}),
    },
)
JOBS = listing(JOB)
EVENT = thing(
    {
        "id": TEXT,
        "object": one_of("fine_tuning.job.event"),
        "created_at": WHOLE,
        "level": one_of("info", "warn", "error"),
        "message": TEXT,
    },
    {"type": one_of("message", "metrics"), "data": {"type": "object"}},
)
EVENTS = listing(EVENT)
METRIC_NAMES = (
    "step", "train_loss", "train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy", "full_valid_loss",
    "full_valid_mean_token_accuracy",
)  # fmt: skip
CHECKPOINT = thing(
    {
        "id": TEXT,
        "object": one_of("fine_tuning.job.checkpoint"),
        "created_at": WHOLE,
        "fine_tuned_model_checkpoint": TEXT,
        "fine_tuning_job_id": TEXT,
        "step_number": WHOLE,
        "metrics": {**thing({}, dict.fromkeys(METRIC_NAMES, NUMBER)), "additionalProperties": False},
    }
)
CHECKPOINTS = listing(CHECKPOINT)
MODEL = thing(
    {"id": TEXT, "object": one_of("model"), "created": WHOLE, "owned_by": TEXT},
    {"shutdown_date": maybe(TEXT)},
)
MODELS = thing({"object": one_of("list"), "data": many(MODEL)})
DELETED_MODEL = thing({"id": TEXT, "object": TEXT, "deleted": FLAG})

USAGE = thing(
    {"prompt_tokens": WHOLE, "completion_tokens": WHOLE, "total_tokens": WHOLE},
    {"prompt_tokens_details": {"type": "object"}, "completion_tokens_details": {"type": "object"}},
)
CANDIDATE = {"token": TEXT, "logprob": NUMBER, "bytes": maybe(many(WHOLE))}
LOGPROBS = thing(
    {
        "content": maybe(many(thing({**CANDIDATE, "top_logprobs": many(thing(CANDIDATE))}))),
        "refusal": maybe(many(thing(CANDIDATE))),
    }
)
FINISHED = one_of("stop", "length", "tool_calls", "content_filter", "function_call")
COMPLETION = thing(
    {
        "id": TEXT,
        "object": one_of("chat.completion"),
        "created": WHOLE,
        "model": TEXT,
        "choices": many(
            thing(
                {
                    "index": WHOLE,
                    "message": thing(
                        {"role": one_of("assistant"), "content": maybe(TEXT), "refusal": maybe(TEXT)}
                    ),
                    "logprobs": maybe(LOGPROBS),
                    "finish_reason": FINISHED,
                }
            )
        ),
    },
    {"usage": USAGE, "service_tier": maybe(TEXT), "system_fingerprint": maybe(TEXT)},
)
CHUNK = thing(
    {
        "id": TEXT,
        "object": one_of("chat.completion.chunk"),
        "created": WHOLE,
        "model": TEXT,
        "choices": many(
            thing(
                {
                    "index": WHOLE,
                    "delta": thing(
                        {}, {"role": one_of("assistant"), "content": maybe(TEXT), "refusal": maybe(TEXT)}
                    ),
                    "finish_reason": maybe(FINISHED),
                },
                {"logprobs": maybe(LOGPROBS)},
            )
        ),
    },
    {"usage": maybe(USAGE)},
)
ERROR = thing({"error": thing({"message": TEXT, "type": TEXT, "param": maybe(TEXT), "code": maybe(TEXT)})})


def check(body: Any, schema: Schema) -> Any:
    """The body again, if it is what the description says."""
    Draft202012Validator(schema).validate(body)
    return body
