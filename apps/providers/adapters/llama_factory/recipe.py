"""Our recipe in LLaMA-Factory's words (0.9.5): one YAML for the run, one JSON that describes the data files.

The template is left out, so it is read from the model's own chat template; a name of LLaMA-Factory's list can be
added as `template`.
"""

import json
from pathlib import Path
from typing import Any

from apps.providers.contracts import Hyperparameters
from apps.providers.launching.recipe import (
    OUTPUT_DIR,
    TRAIN_FILE,
    VALIDATION_FILE,
    Recipe,
    RecipeRequest,
    as_yaml,
)
from apps.providers.launching.schedule import Schedule, make_schedule

CONFIG_FILE = "llama-factory.yaml"
MODULE = "llamafactory.cli"
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def make_recipe(request: RecipeRequest) -> Recipe:
    """`formatting: sharegpt`, because `openai` adds a system message of its own to rows without one."""
    schedule = make_schedule(request.settings, request.rows)
    values = {
        **_model(request),
        **_data(request),
        **_steps(request.settings, schedule),
        **_evaluation(request, schedule),
        "output_dir": OUTPUT_DIR,
        "overwrite_output_dir": request.resume_from is None,
        "resume_from_checkpoint": request.resume_from,
        "logging_steps": request.settings.logging_steps,
        "logging_nan_inf_filter": False,
        "include_num_input_tokens_seen": "non_padding",
        "report_to": "none",
        "seed": request.settings.seed,
        "bf16": True if request.bfloat16 is None else request.bfloat16,
    }
    local = Path(request.base_model).is_absolute()
    return Recipe(
        files={CONFIG_FILE: as_yaml(values), "dataset_info.json": _dataset_info(request)},
        command=f"llamafactory-cli train {CONFIG_FILE}",
        module=MODULE,
        arguments=("train", CONFIG_FILE),
        environment={"HF_HUB_OFFLINE": "1"} if local else {},
    )


def _model(request: RecipeRequest) -> dict[str, Any]:
    settings, lora = request.settings, request.settings.lora
    values: dict[str, Any] = {
        "model_name_or_path": request.base_model,
        "model_revision": request.base_revision,
        "trust_remote_code": False,
        "stage": "dpo" if settings.objective == "dpo" else "sft",
        "do_train": True,
        "finetuning_type": settings.method,
    }
    if settings.objective == "dpo":
        values |= {"pref_loss": "sigmoid", "pref_beta": 0.1 if settings.beta is None else settings.beta}
    if settings.method == "lora" and lora is not None:
        targets = lora.target_modules
        values |= {
            "lora_rank": lora.rank,
            "lora_alpha": lora.alpha,
            "lora_dropout": lora.dropout,
            "lora_target": "all" if targets == "all-linear" else ",".join(targets),
        }
    return values


def _data(request: RecipeRequest) -> dict[str, Any]:
    return {
        "dataset_dir": ".",
        "dataset": "train",
        "eval_dataset": "validation" if request.validation_rows else None,
        "cutoff_len": request.settings.max_length,
        "overwrite_cache": True,
    }


def _steps(settings: Hyperparameters, schedule: Schedule) -> dict[str, Any]:
    return {
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": SCHEDULERS[settings.scheduler],
        "warmup_steps": schedule.warmup_steps,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "optim": "adamw_torch",
    }


def _evaluation(request: RecipeRequest, schedule: Schedule) -> dict[str, Any]:
    """Checkpoints are saved where is validated, so that the best one can be kept."""
    settings = request.settings
    values: dict[str, Any] = {
        "save_strategy": "steps",
        "save_steps": schedule.interval,
        "save_total_limit": settings.save_total_limit,
    }
    if request.validation_rows:
        values |= {
            "eval_strategy": "steps",
            "eval_steps": schedule.interval,
            "per_device_eval_batch_size": settings.batch_size,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
            "early_stopping_steps": settings.early_stopping_patience,
        }
    return values


def _dataset_info(request: RecipeRequest) -> str:
    columns = {"messages": "messages"}
    pairs: dict[str, Any] = {}
    if request.settings.objective == "dpo":
        columns |= {"chosen": "chosen", "rejected": "rejected"}
        pairs = {"ranking": True}
    files = {"train": TRAIN_FILE}
    if request.validation_rows:
        files["validation"] = VALIDATION_FILE
    described = {
        name: {"file_name": file, "formatting": "sharegpt", **pairs, "columns": columns, "tags": TAGS}
        for name, file in files.items()
    }
    return json.dumps(described, indent=2) + "\n"
