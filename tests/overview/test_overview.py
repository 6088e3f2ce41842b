"""The overview says where a project stands and what comes next, from its records."""

import pytest
from django.urls import reverse

from apps.datasets.models import CheckReport, CheckState, Finding
from apps.overview.standing import checklist, next_step, standing_of
from tests.evaluations.worlds import build_world, decide_with

pytestmark = pytest.mark.django_db


def overview(client, project) -> str:
    url = reverse("overview:project", args=[project.workspace.slug, project.slug])
    return str(client.get(url).content.decode())


def step_title(project) -> str | None:
    step = next_step(project, standing_of(project))
    return step.title if step else None


def test_an_empty_project_asks_for_data(project, people, client_of):
    page = overview(client_of(people.lea), project)

    assert "Next: Bring in your data" in page
    assert "Import data" in page


def test_a_viewer_is_told_that_somebody_else_must_take_the_step(project, people, client_of):
    page = overview(client_of(people.vic), project)

    assert "Your role does not allow this step" in page
    assert 'class="btn btn-primary"' not in page


def test_a_tuned_model_asks_for_its_comparison_and_a_verdict_ends_the_way(project, people, client_of):
    world = build_world(project, people.lea)
    type(world.version.dataset).objects.update(example_count=100)
    assert step_title(project) == "Find out whether Triage beats the best prompt"

    comparison = decide_with(world.comparison(world.suite()), {})

    page = overview(client_of(people.lea), project)
    assert step_title(project) is None
    assert comparison.sentence.split(":")[0] in page
    assert "the written prompt" in page, "the checklist names what was compared"


def test_what_the_records_do_not_say_is_shown_as_unknown(project, people, client_of):
    page = overview(client_of(people.lea), project)

    assert page.count("Unknown") == 1
    assert page.count("Not yet") >= 4


def test_personal_data_is_answered_by_the_checks(project, people):
    world = build_world(project, people.lea)

    def question():
        return next(each for each in checklist(standing_of(project)) if "personal data" in each.text)

    assert question().answered is False
    assert question().evidence == "The data was not checked."
    report = CheckReport.objects.create(
        dataset=world.version.dataset, version=world.version, state=CheckState.DONE, row_count=3
    )
    assert question().answered is True
    found = Finding.objects.create(
        report=report, check_name="personal", code="email", severity="problem", title="1 e-mail address",
        detail="", actions=["accept"], item_count=1, open_count=1, row_count=1,
    )  # fmt: skip
    assert question().answered is False
    assert question().url == report.get_absolute_url()
    Finding.objects.filter(pk=found.pk).update(open_count=0)
    assert question().answered is True


def test_the_page_costs_the_same_however_much_there_is(
    project, people, client_of, django_assert_max_num_queries
):
    client = client_of(people.lea)
    world = build_world(project, people.lea)
    decide_with(world.comparison(world.suite()), {})

    with django_assert_max_num_queries(30):
        overview(client, project)
