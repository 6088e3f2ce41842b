"""Settings at their borders and beyond, as people type them: what the card says, and that nothing starts."""

import pytest

from apps.jobs.models import TrainingJob
from apps.jobs.services import JobRefusedError
from apps.registry.models import BaseModel
from tests.jobs.conftest import freeze
from tests.jobs.test_pages import preview

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(version, base_model) -> dict[str, object]:
    return {"version": version.pk, "base_model": base_model.pk, "method": "lora", "accept_few": "on"}


@pytest.fixture
def card(client_of, people, project, filled):
    def show(**changes) -> str:
        return preview(client_of(people.lea), project, **{**filled, **changes})

    return show


def test_no_plan_is_shown_for_a_setting_that_cannot_be_read(card):
    """The plan would be that of the recommended value, which is not what was meant."""
    words = card(epochs="0,5")

    assert "Epochs: Enter a number with a point, such as 0.002." in words
    assert "an epoch)" not in words
    assert "Mend 1 setting" in words


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"epochs": "0"}, "Epochs must be between 0.01 and 100, not 0."),
        ({"seed": "4294967296"}, "Seed must be between 0 and 4294967295, not 4294967296."),
        ({"max_steps": "-1"}, "Maximum steps must be between 1 and 10000000, not -1."),
        ({"method": "magic"}, "Method: Select a valid choice."),
    ],
)
def test_a_sentence_names_its_setting_once_and_its_limits_in_full(card, changes, sentence):
    words = card(**changes)

    assert sentence in words
    assert "Epochs: Epochs" not in words
    assert "None:" not in words


def test_a_length_that_leaves_no_row_starts_nothing(card, start, version):
    assert "All 24 training rows are longer than 8 tokens, so none would be left. Raise it." in card(
        max_length="8"
    )
    assert "Start training" not in card(max_length="8")
    with pytest.raises(JobRefusedError, match="none would be left"):
        start(max_length=8)
    assert TrainingJob.objects.count() == 0


def test_rows_that_must_not_be_too_long_start_nothing(card, project, base_model):
    version = freeze(project, tokens={3: 900}, tokenizer=base_model.reference)

    words = card(version=version.pk, too_long="refuse", max_length="512")

    assert "1 row is longer than 512 tokens." in words
    assert "Start training" not in words
    assert "Start training" in card(version=version.pk, too_long="drop", max_length="512")


def test_tokens_that_another_model_counted_are_named(card, project):
    version = freeze(project, tokenizer="/models/other-llama")

    words = card(version=version.pk)

    assert "Tokens are as other-llama counts them, which the version was frozen for" in words


def test_rows_beyond_what_the_model_reads_are_said(card, project, base_model):
    BaseModel.objects.filter(pk=base_model.pk).update(context_length=256)
    version = freeze(project, tokens={3: 300, 4: 300})

    words = card(version=version.pk, max_length="1000")

    assert "2 rows are longer than the 256 tokens" in words
    assert "2 rows are longer than the 256 tokens" not in card(version=version.pk)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["batch_size", "learning_rate"])
def test_a_number_without_an_end_is_refused_by_a_sentence(start, name, value):
    with pytest.raises(Exception, match="must be a number, not"):
        start(**{name: value})
