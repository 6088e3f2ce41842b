"""Recommended values (project's domain notes: about 1e-5 full, LoRA ten times more, 1 to 3 epochs) and limits."""

from typing import Any

import pytest

from apps.jobs.hyperparameters import HyperparameterError, recommend, resolve


def values(**changes):
    facts: dict[str, Any] = {
        "method": "lora",
        "parameters": 7_000_000_000,
        "context_length": 2048,
        "rows": 1000,
    }
    return {name: item.value for name, item in recommend(**(facts | changes)).items()}


@pytest.mark.parametrize(
    ("parameters", "lora", "full"),
    [(4_500_000, 2e-3, 5e-4), (300_000_000, 5e-4, 5e-5), (7_000_000_000, 1e-4, 1e-5), (None, 1e-4, 1e-5)],
)
def test_the_learning_rate_follows_size_and_method(parameters, lora, full):
    assert values(parameters=parameters)["learning_rate"] == lora
    assert values(parameters=parameters, method="full")["learning_rate"] == full


@pytest.mark.parametrize(("rows", "epochs"), [(100, 3.0), (499, 3.0), (500, 2.0), (2000, 2.0), (2001, 1.0)])
def test_more_rows_take_fewer_epochs(rows, epochs):
    assert values(rows=rows)["epochs"] == epochs


def test_a_small_model_sees_its_data_three_times():
    assert values(rows=1200, parameters=4_500_000)["epochs"] == 3.0
    assert values(rows=1200, parameters=4_500_000)["batch_size"] == 16


@pytest.mark.parametrize(("rows", "batch"), [(20, 1), (60, 2), (100, 4), (160, 8), (5000, 8)])
def test_little_data_takes_smaller_batches(rows, batch):
    assert values(rows=rows)["batch_size"] == batch


def test_the_maximum_length_is_the_context_length_up_to_a_limit():
    assert values(context_length=512)["max_length"] == 512
    assert values(context_length=131072)["max_length"] == 4096
    assert values(context_length=None)["max_length"] == 1024


def test_every_recommendation_is_valid_and_has_a_reason():
    recommended = recommend(method="lora", parameters=None, context_length=None, rows=None)
    assert all(item.reason for item in recommended.values())
    resolved = resolve({}, method="lora", recommended=recommended)
    assert resolved["lora_rank"] == 16
    assert resolved["lora_alpha"] == 32


def test_what_is_given_wins_and_alpha_follows_the_rank():
    recommended = recommend(method="lora", parameters=None, context_length=None, rows=None)
    resolved = resolve({"lora_rank": 8, "epochs": 5}, method="lora", recommended=recommended)
    assert (resolved["lora_rank"], resolved["lora_alpha"], resolved["epochs"]) == (8, 16, 5.0)


def test_full_fine_tuning_has_no_lora_settings():
    recommended = recommend(method="full", parameters=None, context_length=None, rows=None)
    resolved = resolve({"lora_rank": 8}, method="full", recommended=recommended)
    assert resolved["lora_rank"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", float("nan")),
        ("epochs", "3"),
        ("batch_size", 1.5),
        ("batch_size", True),
        ("learning_rate", -1e-4),
        ("scheduler", "sideways"),
        ("too_long", None),
        ("seed", -1),
        ("colour", "blue"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(name, value):
    recommended = recommend(method="lora", parameters=None, context_length=None, rows=None)
    with pytest.raises(HyperparameterError) as refused:
        resolve({name: value}, method="lora", recommended=recommended)
    assert refused.value.field == name
