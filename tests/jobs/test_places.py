"""Costs by hand: tokens × epochs × price of a million / 1 000 000."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.core.errors import ConflictError
from apps.datasets.models import Dataset, Example, Split, Version, VersionRow, VersionState
from apps.jobs.models import JobState, Method, TrainingJob
from apps.jobs.places.finding import data_size, places_for
from apps.jobs.places.limits import DataSize, limits_of, losses_here, losses_in, losses_in_words
from apps.providers.models import Connection
from apps.providers.registry import PROVIDERS
from apps.providers.remote import Support
from apps.providers.services import connection_check, connection_create, connection_remove, price_set
from apps.registry.models import BaseModel
from apps.registry.services import NotOfferedError, remote_base_model_ensure

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 22)


def size(**changes):
    given: dict[str, Any] = {
        "rows": 100,
        "validation_rows": 10,
        "tokens": 5000,
        "longest": 80,
        "bytes": 50_000,
        "over": lambda most: 7,
    }
    return DataSize(**(given | changes))


@pytest.mark.parametrize(
    ("support", "text", "stops"),
    [
        ({"fewest_rows": 101}, "needs at least 101 rows; there are 100", True),
        ({"most_rows": 99}, "takes at most 99 rows; there are 100", True),
        ({"most_validation_rows": 9}, "takes at most 9 validation rows; there are 10", True),
        (
            {"fewest_rows": 111, "counts_both": True},
            "needs at least 111 rows, validation rows among them; there are 110",
            True,
        ),
        (
            {"most_tokens_a_row": 79, "refuses_long_rows": True},
            "refuses files with rows over 79 tokens; 7 rows are longer",
            False,
        ),
        ({"takes_validation": False}, "takes no validation rows: overfitting can’t be seen", False),
        (
            {"most_bytes": 40_000},
            "takes at most 40.0\u00a0kB; the training rows have about 50.0\u00a0kB",
            True,
        ),
        ({"most_tokens_a_row": 79}, "7 rows longer than the 79 tokens that are read", False),
    ],
)
def test_a_limit_that_is_broken_is_said(support, text, stops):
    (limit,) = limits_of(Support(data_format="openai", **support), size())
    assert (limit.text, limit.stops) == (text, stops)


def test_limits_that_are_met_and_figures_that_are_unknown_say_nothing():
    kept = Support(
        data_format="openai", fewest_rows=100, most_rows=100, most_bytes=50_000, most_tokens_a_row=80
    )
    assert limits_of(kept, size()) == []
    tight = Support(data_format="openai", most_bytes=1, most_tokens_a_row=1)
    assert limits_of(tight, size(bytes=None, longest=None)) == []


def test_losses_are_counted_by_format():
    counts = {"": 5, "tools": 3, "calls,tools": 2, "pair,weights": 4, "other": 1, "developer,systems": 2}
    in_words = {
        name: losses_in_words(found)
        for name in ("chat", "preference", "together", "gemini")
        if (found := losses_in(name, counts)) is not None
    }
    assert in_words == {
        "chat": ["a rejected answer: 4 rows"],
        "preference": ["13 rows left out, without a rejected answer"],
        "together": [
            "the developer role (its messages become system messages): 2 rows",
            "a rejected answer: 4 rows",
        ],
        "gemini": [
            "2 rows left out, with calls of tools",
            "a list of tools: 3 rows",
            "answers with weight 0 are trained on, too: 4 rows",
            "the developer role (its messages become system messages): 2 rows",
            "the border between system messages (they become one): 2 rows",
            "a rejected answer: 4 rows",
        ],
    }
    assert losses_in("something else", counts) is None
    assert losses_in_words(losses_here({"": 5, "tools": 3}, "supervised")) == []
    assert losses_in_words(losses_here({"": 5, "tools": 3}, "supervised", {"tools"})) == [
        "a list of tools: 3 rows"
    ]
    assert losses_in_words(losses_here(counts, "dpo")) == [
        "13 rows left out, without a rejected answer",
        "answers with weight 0 are trained on, too: 4 rows",
    ]


def frozen(project, *, pairs=0, **statistics) -> Version:
    """60 training rows, two of 40 tokens and the others of 20, and five for validation."""
    dataset = Dataset.objects.create(project=project, name=f"Drawings {pairs}")
    version = Version.objects.create(dataset=dataset, number=1)
    for position in range(1, 66):
        payload = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
        if position <= pairs:
            payload["rejected"] = [{"role": "assistant", "content": "No"}]
        example = Example.objects.create(
            dataset=dataset, raw=b"{}", payload=payload, content_hash=f"{position:064}", text="Hi Ho"
        )
        VersionRow.objects.create(
            version=version,
            example=example,
            position=position,
            split=Split.TRAIN if position <= 60 else Split.VALIDATION,
            token_count=40 if position <= 2 else 20,
        )
    told = {
        "tokens": {"total": {"all": 5000, "train": 4000, "validation": 400, "test": 600}},
        "lengths": {"tokens": {"maximum": 40}, "characters": {"sum": 20_000}},
        "features_by_split": {"train": {"": 56, "tools": 4}, "validation": {"": 4, "tools": 1}},
        "preference_pairs": pairs,
    }
    Version.objects.filter(pk=version.pk).update(
        state=VersionState.FROZEN,
        manifest_hash="0" * 64,
        row_count=65,
        train_count=60,
        validation_count=5,
        statistics=told | statistics,
    )
    version.refresh_from_db()
    return version


@pytest.fixture
def version(project) -> Version:
    return frozen(project)


def found_for(version, objective="supervised", epochs=3.0):
    found = places_for(version, objective=objective, epochs=epochs, today=TODAY)
    return {place.reference: place for place in found.places}, found


def say_price(workspace, people, model, amount):
    price_set(
        workspace=workspace,
        provider="sketch",
        model=model,
        kind="training",
        amount=Decimal(amount),
        currency="EUR",
        as_of=date(2026, 11, 1),
        by=people.lea,
    )


def test_every_model_has_its_line(version, sketch_connection, workspace, people):
    own = BaseModel.objects.create(workspace=workspace, reference="acme/tiny", name="tiny", context_length=30)
    say_price(workspace, people, "draw-large", "50")
    places, found = found_for(version)
    assert list(places) == ["acme/tiny", "draw-large", "draw-small"]
    assert found.tokens == 4000
    here, large, small = places.values()
    assert here.is_here
    assert here.base_model == own
    assert [limit.text for limit in here.limits] == ["2 rows longer than 30 tokens left out"]
    assert here.losses == ["a list of tools: unknown, its chat template is not on this machine"]
    # Two epochs at most there: 4000 × 2 × 50 / 1 000 000.
    assert (large.epochs, large.cost, large.cost_text) == (2, Decimal("0.4"), "0.40\u00a0EUR")
    assert large.price is not None
    assert large.price.as_of == date(2026, 11, 1)
    assert (large.limits, large.losses, large.base_model, large.life) == ([], [], None, None)
    assert (small.price, small.cost, small.epochs) == (None, None, 3.0)
    assert [limit.text for limit in small.limits] == ["2 rows longer than the 30 tokens that are read"]
    assert small.life is not None
    assert small.life.end_of_life == date(2027, 3, 1)
    assert all(place.seconds is None for place in places.values())


def test_what_would_be_refused_or_is_over_stands_last(version, sketch_connection):
    Connection.objects.update(
        offered={"trainable": [{"id": "draw-large", "end_of_life": "2026-01-01"}, {"id": "draw-small"}]}
    )
    places, _ = found_for(version)
    assert [(name, place.fits) for name, place in places.items()] == [
        ("draw-small", True),
        ("draw-large", False),
    ]


def test_tokens_that_nobody_counted_make_the_cost_unknown(project, sketch_connection, workspace, people):
    say_price(workspace, people, "draw-large", "50")
    places, _ = found_for(frozen(project, tokens={"total": None}, lengths={}))
    large = places["draw-large"]
    assert large.price is not None
    assert large.cost is None


def test_pairs_are_compared_on_their_own(project, sketch_connection, workspace):
    BaseModel.objects.create(workspace=workspace, reference="acme/tiny", name="tiny")
    places, found = found_for(frozen(project, pairs=3), objective="dpo")
    assert list(places) == ["acme/tiny", "draw-large"]
    assert found.tokens is None, "the rejected answers were not counted"


def test_rows_without_a_pair_are_none_for_dpo(project):
    assert data_size(frozen(project, pairs=3), "dpo").rows == 3
    assert data_size(frozen(project), "dpo").rows == 0


def test_times_are_those_of_earlier_jobs(version, project, sketch_connection, people):
    base = remote_base_model_ensure(connection=sketch_connection, reference="draw-large", actor=None)
    now = timezone.now()
    for number, seconds in enumerate((100, 400), start=1):
        TrainingJob.objects.create(
            project=project,
            number=number,
            name=f"Job {number}",
            version=version,
            base_model=base,
            provider="sketch",
            method=Method.MANAGED,
            configuration={},
            configuration_hash="0" * 64,
            state=JobState.SUCCEEDED,
            trained_tokens=8000,
            started_at=now - timedelta(seconds=seconds),
            finished_at=now,
        )
    places, _ = found_for(version)
    large = places["draw-large"]
    assert large.rate is not None
    # 80 and 20 tokens a second: 50 in the middle; 4000 tokens twice.
    assert (large.rate.tokens_per_second, large.rate.jobs, large.seconds) == (50, 2, 160)


def test_a_provider_that_only_answers_is_no_place_to_train(version, workspace, people, monkeypatch):
    monkeypatch.setitem(PROVIDERS, "talk", "tests.providers.sketch:TalkProvider")
    talking = connection_create(
        workspace=workspace, provider="talk", name="Talk", settings={}, secrets={}, by=people.ann
    )
    connection_check(connection=talking)
    talking.refresh_from_db()
    remote_base_model_ensure(connection=talking, reference="talker", actor=None)
    with pytest.raises(NotOfferedError):
        remote_base_model_ensure(connection=talking, reference="another", actor=None)
    _, found = found_for(version)
    assert (found.places, found.problems) == ([], [])


def test_a_connection_that_can_not_be_opened_does_not_hide_the_others(version, sketch_connection, workspace):
    Connection.objects.create(workspace=workspace, provider="gone", name="A gone one")
    _, found = found_for(version)
    assert [(connection.name, "no provider called" in why) for connection, why in found.problems] == [
        ("A gone one", True)
    ]
    assert len(found.places) == 2


def test_a_connection_stays_while_a_job_runs_over_it(version, project, sketch_connection, people):
    base = remote_base_model_ensure(connection=sketch_connection, reference="draw-large", actor=None)
    job = TrainingJob.objects.create(
        project=project,
        number=1,
        name="Drawing",
        version=version,
        base_model=base,
        provider="sketch",
        method=Method.MANAGED,
        configuration={},
        configuration_hash="0" * 64,
        state=JobState.RUNNING,
    )
    with pytest.raises(ConflictError) as refused:
        connection_remove(connection=sketch_connection, by=people.ann)
    assert "in use by the job “Drawing”" in refused.value.message
    TrainingJob.objects.filter(pk=job.pk).update(state=JobState.FAILED)
    connection_remove(connection=sketch_connection, by=people.ann)


# --- The page -------------------------------------------------------------------------------------------------------


def address(project, name="where"):
    return reverse(f"jobs:{name}", args=[project.workspace.slug, project.slug])


def test_without_data_the_page_says_what_to_do_first(project, people, client_of):
    assert "Freeze a version first" in client_of(people.vic).get(address(project)).content.decode()


def test_the_page_says_what_is_known_and_asks_for_what_is_not(
    version, sketch_connection, project, people, client_of
):
    say_price(project.workspace, people, "draw-large", "50")
    lead = client_of(people.lea)
    page = lead.get(address(project), {"epochs": "3"}).content.decode()
    for shown in (
        "about 0.40\u00a0EUR",
        "price of 1 Nov 2026",
        "add a price",
        "Drawn by hand.",
    ):
        assert shown in page
    assert "model=draw-small&amp;what=training:supervised" in page
    viewer = client_of(people.vic).get(address(project)).content.decode()
    assert "add a price" not in viewer
    assert "Train here" not in viewer
    only = lead.get(address(project), {"q": "small"}).content.decode()
    assert "draw-small" in only
    assert "Draw Large" not in only


@pytest.mark.parametrize(
    "odd", [{"version": "x"}, {"version": "0"}, {"epochs": "-1"}, {"epochs": "nan"}, {"objective": "luck"}]
)
def test_odd_addresses_show_the_usual(version, sketch_connection, project, people, client_of, odd):
    response = client_of(people.vic).get(address(project), odd)
    assert response.status_code == 200
    assert "draw-small" in response.content.decode()


def test_a_line_leads_to_the_form_with_the_model_taken(
    version, sketch_connection, project, people, client_of
):
    given: dict[str, Any] = {
        "connection": sketch_connection.pk,
        "reference": "draw-large",
        "version": version.pk,
        "objective": "supervised",
        "epochs": "2",
    }
    lead = client_of(people.lea)
    taken = lead.post(address(project, "take"), given)
    base = BaseModel.objects.get(reference="draw-large")
    wanted = f"?version={version.pk}&objective=supervised&epochs=2&base_model={base.pk}"
    assert taken.headers["Location"] == address(project, "create") + wanted
    page = lead.get(address(project)).content.decode()
    assert wanted.replace("&", "&amp;") in page, "the next time the line is a link"


def test_a_foreign_connection_is_not_taken_from(
    version, sketch_connection, other_workspace, project, people, client_of
):
    Connection.objects.update(workspace=other_workspace)
    given: dict[str, Any] = {
        "connection": sketch_connection.pk,
        "reference": "draw-large",
        "version": version.pk,
        "objective": "supervised",
        "epochs": "2",
    }
    assert client_of(people.lea).post(address(project, "take"), given).status_code == 404
    assert not BaseModel.objects.exists()
