"""Our settings in the words of LLaMA-Factory 0.9.5 and Axolotl 0.19.0: none is lost on the way.

The names of their settings are those of `llamafactory.hparams` with transformers' TrainingArguments, and of
`axolotl config-schema`; both programs took these files and trained with them.
"""

from dataclasses import fields, replace
from typing import Any

import pytest
import yaml

from apps.providers.contracts import Hyperparameters, LoraSettings
from apps.providers.launching.command import ToolCommand, tool_environment
from apps.providers.launching.recipe import RecipeRequest
from apps.providers.launching.schedule import make_schedule
from apps.providers.registry import provider_class

SETTINGS = Hyperparameters(
    epochs=2.5,
    max_steps=40,
    batch_size=6,
    gradient_accumulation=3,
    learning_rate=2e-5,
    scheduler="constant",
    warmup_ratio=0.1,
    weight_decay=0.02,
    max_grad_norm=0.7,
    max_length=777,
    too_long="truncate",
    lora=LoraSettings(rank=5, alpha=11, dropout=0.15),
    evaluation_steps=9,
    logging_steps=2,
    save_total_limit=4,
    early_stopping_patience=3,
    seed=1234,
)
REQUEST = RecipeRequest(
    base_model="org/base", base_revision="abc123", settings=SETTINGS, rows=1000, validation_rows=50
)
# Our name -> theirs, and the value that the settings above must have there.
FACTORY = {
    "method": ("finetuning_type", "lora"),
    "objective": ("stage", "sft"),
    "epochs": ("num_train_epochs", 2.5),
    "max_steps": ("max_steps", 40),
    "batch_size": ("per_device_train_batch_size", 6),
    "gradient_accumulation": ("gradient_accumulation_steps", 3),
    "learning_rate": ("learning_rate", 2e-5),
    "scheduler": ("lr_scheduler_type", "constant_with_warmup"),
    "warmup_ratio": ("warmup_steps", 4),
    "weight_decay": ("weight_decay", 0.02),
    "max_grad_norm": ("max_grad_norm", 0.7),
    "max_length": ("cutoff_len", 777),
    "lora": ("lora_rank", 5),
    "evaluation_steps": ("eval_steps", 9),
    "logging_steps": ("logging_steps", 2),
    "save_total_limit": ("save_total_limit", 4),
    "early_stopping_patience": ("early_stopping_steps", 3),
    "seed": ("seed", 1234),
}
AXOLOTL = {
    "method": ("adapter", "lora"),
    "epochs": ("num_epochs", 2.5),
    "max_steps": ("max_steps", 40),
    "batch_size": ("micro_batch_size", 6),
    "gradient_accumulation": ("gradient_accumulation_steps", 3),
    "learning_rate": ("learning_rate", 2e-5),
    "scheduler": ("lr_scheduler", "constant_with_warmup"),
    "warmup_ratio": ("warmup_steps", 4),
    "weight_decay": ("weight_decay", 0.02),
    "max_grad_norm": ("max_grad_norm", 0.7),
    "max_length": ("sequence_len", 777),
    "too_long": ("excess_length_strategy", "truncate"),
    "lora": ("lora_r", 5),
    "evaluation_steps": ("eval_steps", 9),
    "logging_steps": ("logging_steps", 2),
    "save_total_limit": ("save_total_limit", 4),
    "early_stopping_patience": ("early_stopping_patience", 3),
    "seed": ("seed", 1234),
}
# Not a setting of the tool's: LLaMA-Factory always cuts, which the form says and the data files make good; the
# objective and its beta are looked at below.
ELSEWHERE = {"llama_factory": {"too_long", "beta"}, "axolotl": {"objective", "beta"}}


def written(name: str, request: RecipeRequest) -> dict[str, Any]:
    recipe = provider_class(name).recipe(request)
    config = next(text for file, text in recipe.files.items() if file.endswith(".yaml"))
    values: dict[str, Any] = yaml.safe_load(config)
    return values


@pytest.mark.parametrize(("name", "expected"), [("llama_factory", FACTORY), ("axolotl", AXOLOTL)])
def test_every_setting_is_carried_over(name, expected):
    assert {field.name for field in fields(Hyperparameters)} == set(expected) | ELSEWHERE[name]
    values = written(name, REQUEST)
    for theirs, value in expected.values():
        assert values[theirs] == value, theirs
    assert values["lora_alpha"] == 11
    assert values["lora_dropout"] == 0.15
    assert values["trust_remote_code"] is False


def test_the_revision_of_the_base_model_is_pinned():
    assert written("llama_factory", REQUEST)["model_revision"] == "abc123"
    assert written("axolotl", REQUEST)["revision_of_model"] == "abc123"


def test_preference_training():
    request = replace(
        REQUEST, settings=replace(SETTINGS, objective="dpo", beta=0.3, early_stopping_patience=None)
    )
    factory, axolotl = written("llama_factory", request), written("axolotl", request)
    assert (factory["stage"], factory["pref_beta"], factory["pref_loss"]) == ("dpo", 0.3, "sigmoid")
    assert (axolotl["rl"], axolotl["rl_beta"]) == ("dpo", 0.3)
    (dataset,) = axolotl["datasets"]
    assert (dataset["type"], dataset["field_chosen"]) == ("chat_template.default", "chosen")


def test_full_training_without_validation():
    settings = replace(SETTINGS, method="full", lora=None, early_stopping_patience=None, max_steps=None)
    request = replace(REQUEST, settings=settings, validation_rows=0)
    factory, axolotl = written("llama_factory", request), written("axolotl", request)
    assert factory["finetuning_type"] == "full"
    assert not {"lora_rank", "eval_dataset", "eval_steps", "load_best_model_at_end"} & set(factory)
    assert not {"adapter", "test_datasets", "eval_steps", "load_best_model_at_end"} & set(axolotl)


def test_axolotl_says_that_dpo_does_not_stop_early():
    settings = replace(SETTINGS, objective="dpo")
    problems = provider_class("axolotl").settings_problems(settings, has_validation=True)
    assert [(problem.field, problem.severity) for problem in problems] == [
        ("early_stopping_patience", "error")
    ]


def test_steps_are_counted_as_transformers_counts_them():
    """1,000 rows in batches of 6 are 167, three of which make a step: 56 an epoch, 140 in two and a half; a tenth is
    14 steps."""
    found = make_schedule(replace(SETTINGS, max_steps=None, evaluation_steps=None), 1000)
    assert (found.steps_per_epoch, found.steps, found.interval, found.warmup_steps) == (56, 140, 14, 14)


def test_a_command_is_a_program_or_an_interpreter(tmp_path):
    script = tmp_path / "llamafactory-cli"
    script.write_text("#!/opt/envs/llama/bin/python3.11\nimport sys\n")
    script.chmod(0o755)
    tool = ToolCommand.parse(str(script))
    assert tool is not None
    assert tool.interpreter == "/opt/envs/llama/bin/python3.11"
    assert tool.starting("llamafactory.cli", "train", "x.yaml") == (str(script), "train", "x.yaml")
    python = ToolCommand("/usr/bin/python9", ("-X", "utf8"))
    assert python.starting("llamafactory.cli", "train") == (
        "/usr/bin/python9", "-X", "utf8", "-m", "llamafactory.cli", "train",
    )  # fmt: skip
    assert python.found is None
    assert ToolCommand.parse("  ") is None


def test_a_tool_sees_none_of_our_secrets(monkeypatch):
    for name in ("FTPORTAL_ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL", "PYTHONPATH"):
        monkeypatch.setenv(name, "ours")
    monkeypatch.setenv("HF_TOKEN", "theirs")
    seen = tool_environment(EXTRA="1")
    assert "ours" not in seen.values()
    assert (seen["HF_TOKEN"], seen["EXTRA"]) == ("theirs", "1")
