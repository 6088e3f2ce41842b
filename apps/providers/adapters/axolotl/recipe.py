"""Our recipe in Axolotl's words (0.19): one YAML."""

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

CONFIG_FILE = "axolotl.yaml"
MODULE = "axolotl.cli.main"
SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
TOO_LONG = {"drop": "drop", "truncate": "truncate", "refuse": "raise"}


def make_recipe(request: RecipeRequest, *, plugin: str | None = None) -> Recipe:
    """`plugin` is a class that Axolotl loads beside its own."""
    schedule = make_schedule(request.settings, request.rows)
    values = {
        "base_model": request.base_model,
        "revision_of_model": request.base_revision,
        "trust_remote_code": False,
        **_method(request.settings),
        **_hardware(request),
        **_data(request),
        **_steps(request.settings, schedule),
        **_evaluation(request, schedule),
        "output_dir": OUTPUT_DIR,
        "dataset_prepared_path": "prepared",
        "resume_from_checkpoint": request.resume_from,
        "logging_steps": request.settings.logging_steps,
        "seed": request.settings.seed,
        "plugins": [plugin] if plugin else None,
    }
    local = Path(request.base_model).is_absolute()
    return Recipe(
        files={CONFIG_FILE: as_yaml(values)},
        command=f"axolotl train {CONFIG_FILE}",
        module=MODULE,
        arguments=("train", CONFIG_FILE, "--launcher", "python"),
        environment={"HF_HUB_OFFLINE": "1"} if local else {},
    )


def _method(settings: Hyperparameters) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if settings.objective == "dpo":
        values |= {"rl": "dpo", "rl_beta": 0.1 if settings.beta is None else settings.beta}
    lora = settings.lora
    if settings.method == "lora" and lora is not None:
        values |= {
            "adapter": "lora",
            "lora_r": lora.rank,
            "lora_alpha": lora.alpha,
            "lora_dropout": lora.dropout,
        }
        if lora.target_modules == "all-linear":
            values["lora_target_linear"] = True
        else:
            values["lora_target_modules"] = list(lora.target_modules)
    return values


def _hardware(request: RecipeRequest) -> dict[str, Any]:
    """Without a GPU none of the kernels that are written for one, which Axolotl switches on by itself."""
    values: dict[str, Any] = {"bf16": "auto" if request.bfloat16 is None else request.bfloat16}
    if request.device == "cpu" and request.settings.method == "lora":
        values |= dict.fromkeys(("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel"), False)
    return values


def _data(request: RecipeRequest) -> dict[str, Any]:
    settings = request.settings
    return {
        "chat_template": "tokenizer_default",
        "datasets": [_dataset(TRAIN_FILE, settings)],
        "test_datasets": [_dataset(VALIDATION_FILE, settings)] if request.validation_rows else None,
        "val_set_size": 0,
        "sequence_len": settings.max_length,
        "excess_length_strategy": TOO_LONG[settings.too_long],
        "sample_packing": False,
        "train_on_inputs": False,
    }


def _dataset(file: str, settings: Hyperparameters) -> dict[str, Any]:
    shared = {"path": file, "ds_type": "json", "split": "train", "field_messages": "messages"}
    if settings.objective == "dpo":
        pair = {"field_chosen": "chosen", "field_rejected": "rejected"}
        return shared | {"type": "chat_template.default"} | pair
    return shared | {"type": "chat_template", "message_field_training": "train"}


def _steps(settings: Hyperparameters, schedule: Schedule) -> dict[str, Any]:
    return {
        "micro_batch_size": settings.batch_size,
        "eval_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "num_epochs": settings.epochs,
        "max_steps": settings.max_steps,
        "learning_rate": settings.learning_rate,
        "lr_scheduler": SCHEDULERS[settings.scheduler],
        "warmup_steps": schedule.warmup_steps,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "optimizer": "adamw_torch",
    }


def _evaluation(request: RecipeRequest, schedule: Schedule) -> dict[str, Any]:
    """Checkpoints are saved where is validated, so that the best one can be kept."""
    values: dict[str, Any] = {
        "save_strategy": "steps",
        "save_steps": schedule.interval,
        "save_total_limit": request.settings.save_total_limit,
    }
    if request.validation_rows:
        values |= {
            "eval_strategy": "steps",
            "eval_steps": schedule.interval,
            "metric_for_best_model": "eval_loss",
            "load_best_model_at_end": True,
            "early_stopping_patience": request.settings.early_stopping_patience,
        }
    return values
