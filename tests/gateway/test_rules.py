"""Small rules without a database: graders, schemas, hyperparameters, names."""

import pytest

from apps.gateway.chat.structured import read_format
from apps.gateway.errors import ApiError
from apps.gateway.graders import GraderError, check_grader, score
from apps.gateway.hyperparameters import read_hyperparameters, shown_values, trainer_values
from apps.gateway.ids import checkpoint_name, plain, tuned_name
from apps.jobs.hyperparameters import recommend

CHECK = {
    "type": "string_check",
    "name": "same",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
}


@pytest.mark.parametrize(
    ("operation", "sample", "reward"),
    [
        ("eq", "Bug", 1.0),
        ("eq", "bug", 0.0),
        ("ne", "bug", 1.0),
        # OpenAI's grader: "like" looks for the reference inside the input, "ilike" without regard to case.
        ("like", "a Bug here", 1.0),
        ("like", "a bug here", 0.0),
        ("ilike", "a bug here", 1.0),
    ],
)
def test_a_string_check_scores_zero_or_one(operation, sample, reward):
    grader = {**CHECK, "operation": operation}
    check_grader(grader)

    assert score(grader, sample=sample, item={"label": "Bug"}) == reward


def test_a_similarity_is_between_zero_and_one():
    grader = {**CHECK, "type": "text_similarity", "evaluation_metric": "fuzzy_match"}
    check_grader(grader)

    # rapidfuzz documents ratio("this is a test", "this is a test!") as 96.55….
    assert score(grader, sample="this is a test!", item={"label": "this is a test"}) == pytest.approx(
        0.9655, abs=1e-4
    )


@pytest.mark.parametrize(
    "grader",
    [
        {**CHECK, "operation": "roughly"},
        {"type": "score_model", "name": "judge"},
        {"type": "string_check", "operation": "eq", "name": "x", "input": 5, "reference": "y"},
        "not a grader",
    ],
)
def test_an_unknown_grader_is_refused(grader):
    with pytest.raises(GraderError):
        check_grader(grader)


def test_a_template_that_names_nothing_is_refused():
    with pytest.raises(GraderError, match="item.label"):
        score({**CHECK, "operation": "eq"}, sample="x", item={})


def test_a_schema_decides_what_fits():
    form = read_format(
        {
            "type": "json_schema",
            "json_schema": {
                "name": "n",
                "schema": {
                    "type": "object",
                    "properties": {"a": {"$ref": "#/$defs/n"}},
                    "$defs": {"n": {"type": "integer"}},
                },
            },
        }
    )  # fmt: skip

    assert form.problem('{"a": 1}') == ""
    assert form.problem('{"a": "1"}').startswith("$.a: ")
    assert form.problem("{").startswith("it is not JSON")
    assert read_format({"type": "json_object"}).problem("[1]") == "it is not a JSON object"
    assert read_format(None).problem("anything") == ""


def test_a_schema_that_would_be_fetched_is_refused():
    for reference in ("https://example.org/s.json", "file:///etc/passwd", "other.json#/a"):
        with pytest.raises(ApiError):
            read_format(
                {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"items": [{"$ref": reference}]}},
                }
            )


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "(a+)+$"},
        {"properties": {"a": {"items": {"patternProperties": {"x": {}}}}}},
        {"allOf": [{"$ref": "#"}]},
    ],
)
def test_a_schema_that_could_hold_up_the_server_is_refused(schema):
    with pytest.raises(ApiError) as refused:
        read_format({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})

    assert refused.value.code == "invalid_json_schema"


def test_a_property_may_be_called_pattern_and_a_schema_may_repeat_itself():
    schema = {"properties": {"pattern": {"type": "string"}, "inner": {"$ref": "#"}}}
    form = read_format({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})

    assert form.problem('{"pattern": "x", "inner": {"inner": {"pattern": 3}}}').startswith(
        "$.inner.inner.pattern: "
    )


RECOMMENDED = recommend(method="lora", parameters=2_600_000, context_length=512, rows=1000)


def test_auto_leaves_the_choice_to_the_recommendation():
    asked = read_hyperparameters({"n_epochs": "auto"}, place="hyperparameters")

    assert asked == {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    assert trainer_values(asked, seed=3, recommended=RECOMMENDED) == {"seed": 3}
    assert shown_values(asked, None) == asked
    used = {"epochs": 3.0, "batch_size": 16, "gradient_accumulation": 2}
    assert shown_values(asked, used) == {"n_epochs": 3, "batch_size": 32, "learning_rate_multiplier": 1.0}


def test_a_multiplier_is_of_the_recommended_rate():
    asked = read_hyperparameters({"learning_rate_multiplier": 2, "n_epochs": 4}, place="hyperparameters")
    values = trainer_values(asked, seed=0, recommended=RECOMMENDED)

    # 2e-3 is recommended for LoRA on a model of this size (docs/training.md).
    assert values == {"seed": 0, "epochs": 4.0, "learning_rate": pytest.approx(4e-3)}


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_epochs", 51), ("n_epochs", 1.5), ("batch_size", 257), ("batch_size", True),
     ("learning_rate_multiplier", 0), ("learning_rate_multiplier", "high")],
)  # fmt: skip
def test_the_bounds_are_those_of_the_protocol(name, value):
    with pytest.raises(ApiError) as refused:
        read_hyperparameters({name: value}, place="method.supervised.hyperparameters")

    assert refused.value.param == f"method.supervised.hyperparameters.{name}"


def test_names_have_the_form_of_the_protocol():
    name = tuned_name(base="acme/small", workspace="my-team", suffix="Très bien: 1", unique="Ab12")

    assert name == "ft:acme/small:my-team:tres-bien-1:Ab12"
    assert checkpoint_name(name, 88) == f"{name}:ckpt-step-88"
    assert tuned_name(base="b", workspace="w", suffix="", unique="x") == "ft:b:w::x"
    assert plain("  ") == ""
