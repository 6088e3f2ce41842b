"""The form of a job at a provider: what it says before anything is sent, and what it starts."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse

from apps.jobs.models import JobState, TrainingJob
from apps.providers.models import Price
from apps.providers.services import connection_check, connection_create
from apps.registry.models import BaseModel
from tests.jobs.conftest import freeze

pytestmark = pytest.mark.django_db


def url(project, page: str, *arguments) -> str:
    return reverse(f"jobs:{page}", args=[project.workspace.slug, project.slug, *arguments])


def text_of(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


@pytest.fixture
def filled(project, model, workspace) -> dict[str, object]:
    """1,000 training tokens, as the freezing counted them, and OpenAI's price for this model: 3 USD a million."""
    Price.objects.create(
        workspace=workspace, provider="openai", model=model.reference, kind="training", amount=Decimal(3),
        currency="USD", as_of=date(2026, 5, 8),
    )  # fmt: skip
    counted = freeze(project, training_tokens=1000)
    return {"version": counted.pk, "base_model": model.pk, "objective": "supervised"}


def test_the_form_of_this_installation_hands_over_to_that_of_a_provider(client_of, people, project, filled):
    lea = client_of(people.lea)
    answer = lea.get(url(project, "create"), filled | {"name": "Colours"})
    assert answer.status_code == 302
    assert answer["Location"].startswith(url(project, "create_remote"))
    assert "name=Colours" in answer["Location"]
    assert lea.get(answer["Location"]).status_code == 200


def test_and_back_for_a_model_of_this_installation(client_of, people, project, base_model):
    answer = client_of(people.lea).get(url(project, "create_remote"), {"base_model": base_model.pk})
    assert answer["Location"].startswith(url(project, "create") + "?")


def test_the_cost_is_tokens_times_epochs_times_the_price(client_of, people, project, filled):
    # 1,000 tokens, 4 epochs, 3 USD a million: 0.012 USD.
    page = text_of(client_of(people.lea).get(url(project, "create_remote"), filled | {"epochs": "4"}))
    assert "about 0.01 USD" in page
    assert "at 3.00 USD a million tokens" in page
    client_of(people.lea).post(url(project, "create_remote"), filled | {"epochs": "4"})
    job = TrainingJob.objects.get()
    assert job.estimated_cost == Decimal("0.0120")
    assert job.price_date is not None
    assert job.state == JobState.QUEUED


def test_an_unknown_price_is_asked_and_never_taken_as_nothing(client_of, people, project, filled, model):
    BaseModel.objects.filter(pk=model.pk).update(reference="gpt-of-tomorrow")
    lea, there = client_of(people.lea), url(project, "create_remote")
    assert "unknown : add the price" in text_of(lea.get(there, filled)).replace("unknown:", "unknown :")
    refused = lea.post(there, filled)
    assert refused.status_code == 422
    assert not TrainingJob.objects.exists()
    assert lea.post(there, filled | {"accept_cost": "on"}).status_code == 302
    assert TrainingJob.objects.get().estimated_cost is None


def test_a_price_that_ships_counts_only_for_the_server_it_is_of(client_of, people, project, filled):
    # The address of the connection is not OpenAI's own.
    Price.objects.all().delete()
    page = text_of(client_of(people.lea).get(url(project, "create_remote"), filled | {"epochs": "4"}))
    assert "add the price" in page


def test_a_base_model_that_ends_soon_is_warned_of(client_of, people, project, filled, connection):
    # As the server's own list of models says: shutdown_date 2027-01-14.
    connection_check(connection=connection)
    page = text_of(client_of(people.lea).get(url(project, "create_remote"), filled))
    assert "14 Jan 2027" in page


def test_too_few_rows_are_said_and_nothing_starts(client_of, people, project, filled):
    few = freeze(project, train=4, validation=1, name="Few")
    lea, there = client_of(people.lea), url(project, "create_remote")
    assert "at least 10 rows; there are 4" in text_of(lea.get(there, filled | {"version": few.pk}))
    assert lea.post(there, filled | {"version": few.pk, "accept_cost": "on"}).status_code == 422
    assert not TrainingJob.objects.exists()


def test_a_value_out_of_range_is_named(client_of, people, project, filled):
    answer = client_of(people.lea).post(url(project, "create_remote"), filled | {"epochs": "500"})
    assert answer.status_code == 422
    assert "Epochs must be between 1 and 50, not 500." in text_of(answer)


def test_the_same_form_sent_twice_starts_one_job(client_of, people, project, filled):
    lea, there = client_of(people.lea), url(project, "create_remote")
    key = re.search(r'name="submission_key" value="([^"]+)"', lea.get(there, filled).content.decode())
    assert key is not None
    whole = filled | {"submission_key": key[1], "epochs": "2"}
    assert lea.post(there, whole)["Location"] == lea.post(there, whole)["Location"]
    assert TrainingJob.objects.count() == 1


def test_the_page_of_the_job_names_the_provider_and_hides_what_does_not_apply(
    client_of, people, project, filled
):
    lea = client_of(people.lea)
    answer = lea.post(url(project, "create_remote"), filled | {"epochs": "2"})
    page = text_of(lea.get(answer["Location"]))
    assert "at Our account" in page
    assert "not created yet" in page
    assert "Pause" not in page
    assert "Environment" not in page


def test_a_new_job_from_one_at_a_provider_opens_the_form_filled_in_as_it_was(
    client_of, people, project, filled
):
    lea = client_of(people.lea)
    lea.post(url(project, "create_remote"), filled | {"epochs": "4", "name": "First"})
    job = TrainingJob.objects.get()
    page = lea.get(url(project, "create"), {"from": job.pk}, follow=True)
    assert page.redirect_chain[0][0].startswith(url(project, "create_remote"))
    assert re.search(r'name="epochs" value="4"', page.content.decode())


def radios(page: str) -> dict[str, tuple[bool, bool]]:
    """What to learn from -> whether it is chosen, and whether it can be."""
    found = re.findall(r'<input type="radio" name="objective" value="(\w+)"([^>]*)>', page)
    return {value: ("checked" in rest, "disabled" not in rest) for value, rest in found}


def test_preferences_are_shown_as_unavailable_with_the_reason(client_of, people, project, filled):
    lea, there = client_of(people.lea), url(project, "create_remote")
    answer = lea.get(there, {name: filled[name] for name in ("version", "base_model")})
    assert radios(answer.content.decode()) == {"supervised": (True, True), "dpo": (False, False)}
    reason = "None of the 24 training rows of Colours v1 is a preference pair"
    assert reason in text_of(answer)
    # What the browser can't send is refused all the same.
    refused = lea.post(there, filled | {"objective": "dpo"})
    assert refused.status_code == 422
    assert reason in text_of(refused)
    assert not TrainingJob.objects.exists()


def test_preferences_can_be_chosen_for_pairs_and_are_preselected_where_there_is_nothing_else(
    client_of, people, project, model
):
    lea, there = client_of(people.lea), url(project, "create_remote")
    pairs = freeze(project, pairs=24, name="Pairs")
    freeze(project, name="Newest")
    page = lea.get(there, {"version": pairs.pk, "base_model": model.pk}).content.decode()
    assert radios(page) == {"supervised": (False, True), "dpo": (True, True)}
    assert 'name="beta"' in page


def test_another_choice_brings_its_own_settings(client_of, people, project, model):
    lea, there = client_of(people.lea), url(project, "create_remote")
    pairs = freeze(project, pairs=12, name="Pairs")
    asked = {"version": pairs.pk, "base_model": model.pk, "objective": "dpo"}
    htmx = {"HX-Request": "true", "HX-Target": "section#job-preview"}
    page = lea.get(there, asked | {"choices_shown": f"{pairs.pk} supervised"}, headers=htmx).content.decode()
    assert 'hx-target="#job-choices"' in page
    assert 'name="beta"' in page
    again = lea.get(there, asked | {"choices_shown": f"{pairs.pk} dpo"}, headers=htmx).content.decode()
    assert "job-choices" not in again


def test_rows_that_the_format_can_not_carry_are_not_counted_as_sent(
    client_of, people, project, workspace, settings
):
    """Gemini's rows carry no calls of tools, no developer role and no weights."""
    settings.FTPORTAL_ALLOW_PRIVATE_URLS = True
    account = connection_create(
        workspace=workspace, provider="vertex", name="Google", by=people.ann,
        settings={"project": "p", "location": "us-central1", "bucket": "gs://b"},
        secrets={"service_account": "{}"},
    )  # fmt: skip
    base = BaseModel.objects.create(
        workspace=workspace,
        provider="vertex",
        connection=account,
        reference="gemini-3.5-flash",
        name="Gemini",
    )
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    asked, answer = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}
    special: list[dict[str, Any]] = [
        {"messages": [asked, {"role": "assistant", "content": None, "tool_calls": [call]},
                      {"role": "tool", "tool_call_id": "1", "content": "it"}, answer]},
        {"messages": [{"role": "developer", "content": "Be brief."}, asked, answer]},
        {"messages": [asked, answer | {"weight": 0}, asked, answer]},
    ]  # fmt: skip
    version = freeze(project, first=special, name="Special")
    page = text_of(
        client_of(people.lea).get(
            url(project, "create_remote"), {"version": version.pk, "base_model": base.pk}
        )
    )
    assert "Training rows 23 " in page
    for loss in (
        "1 row left out, with calls of tools",
        "the developer role (its messages become system messages): 1 row",
        "answers with weight 0 are trained on, too: 1 row",
    ):
        assert loss in page
