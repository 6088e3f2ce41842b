"""The first page of a workspace says how far each project is; the search finds what somebody may open, by its name."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.evaluations.models import Suite
from apps.labeling.models import Guideline
from apps.projects.models import Project
from tests.evaluations.worlds import build_world, decide_with
from tests.labeling.worlds import labelers, make_session

pytestmark = pytest.mark.django_db


def first_page(client, workspace) -> str:
    return str(client.get(workspace.get_absolute_url()).content.decode())


def found(client, workspace, typed: str) -> list[tuple[str, str]]:
    """Kind and name of each hit, in the order of the page."""
    page = client.get(reverse("workspace_home:search", args=[workspace.slug]), {"q": typed}).content.decode()
    hits = []
    for group in page.split('<section class="search-group"')[1:]:
        kind = re.search(r'class="search-kind"[^>]*>([^<]+)<', group)
        assert kind is not None
        hits += [(kind[1], name) for name in re.findall(r'class="search-name">([^<]+)<', group)]
    return hits


def test_the_first_page_says_how_far_each_project_is(project, people, client_of):
    lea = client_of(people.lea)
    Project.objects.create(workspace=project.workspace, name="Empty", slug="empty")
    assert first_page(lea, project.workspace).count("no verdict yet") == 2

    world = build_world(project, people.lea)
    comparison = decide_with(world.comparison(world.suite()), {})

    page = first_page(lea, project.workspace)
    assert page.count("no verdict yet") == 1
    assert "1 version" in page
    assert "1 model" in page
    assert f'href="{comparison.get_absolute_url()}"' in page
    world.comparison(world.suite(), general_suite=world.general_suite())
    assert "1 running" in first_page(lea, project.workspace)


def test_more_projects_cost_no_more_queries(project, people, client_of):
    lea = client_of(people.lea)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            first_page(lea, project.workspace)
        return len(captured)

    queries()  # the first page of all reads what is cached later
    before = queries()
    for number in range(4):
        another = Project.objects.create(workspace=project.workspace, name=f"P{number}", slug=f"p{number}")
        world = build_world(another, people.lea)
        decide_with(world.comparison(world.suite()), {})

    assert queries() == before


def test_everything_with_a_name_is_found_by_all_its_words(project, people, client_of):
    world = build_world(project, people.lea)
    comparison = world.comparison(world.suite())
    session = make_session(project, people.lea, name="Triage, first look", version=world.version)
    Guideline.objects.create(project=project, name="Triage guide", created_by=people.lea)
    lea, workspace = client_of(people.lea), project.workspace

    assert found(lea, workspace, "triage") == [
        ("Projects", "Ticket triage"),
        ("Labeling sessions", session.name),
        ("Guidelines", "Triage guide"),
        ("Training jobs", world.tuned.training_job.name),
        ("Models", world.tuned.name),
        ("Comparisons", comparison.name),
    ]
    assert found(lea, workspace, "LOOK triage") == [("Labeling sessions", session.name)]
    assert found(lea, workspace, "triage elephants") == []
    assert found(lea, workspace, "abab") == [("Versions", "Tickets 1 v1")], "by the manifest hash"
    assert ("Versions", "Tickets 1 v1") in found(lea, workspace, "tickets v1")
    assert ("Suites", Suite.objects.get().name) in found(lea, workspace, "test split")


@pytest.mark.parametrize("typed", ["", "   ", "%", "_", "\x00", "v99999999999999999999", "x" * 5000, "'; --"])
def test_odd_words_find_nothing(project, people, client_of, typed):
    assert found(client_of(people.lea), project.workspace, typed) == []


def test_what_was_typed_is_shown_escaped(project, people, client_of):
    url = reverse("workspace_home:search", args=[project.workspace.slug])
    page = client_of(people.lea).get(url, {"q": "<script>alert(1)</script>"}).content.decode()

    assert "<script>alert(1)" not in page
    assert "Nothing here is named “&lt;script&gt;" in page


def test_nothing_of_another_workspace_or_an_archived_project_is_found(
    project, other_workspace, people, client_of
):
    world = build_world(project, people.lea)
    assert found(client_of(people.zoe), other_workspace, "triage") == []

    Project.objects.update(archived_at=timezone.now())
    assert found(client_of(people.lea), project.workspace, "triage tickets") == []
    assert found(client_of(people.lea), project.workspace, world.tuned.name) == []


def test_a_labeler_finds_the_sessions_that_hand_them_items_and_labels_there(project, people, client_of):
    (other,) = labelers(project, 1)
    mine = make_session(project, people.lea, name="Mine to label", people=[people.ben])
    theirs = make_session(project, people.lea, name="Theirs to label", people=[other])
    draft = make_session(project, people.lea, name="Drafted to label", opened=False)
    ben, workspace = client_of(people.ben), project.workspace

    names = [name for kind, name in found(ben, workspace, "to label") if kind == "Labeling sessions"]
    assert names == [mine.name]
    url = reverse("labeling:work", args=[workspace.slug, project.slug, mine.pk])
    page = ben.get(reverse("workspace_home:search", args=[workspace.slug]), {"q": "mine"}).content.decode()
    assert f'href="{url}"' in page
    names = [name for kind, name in found(client_of(people.rob), workspace, "to label") if "sessions" in kind]
    assert names == [draft.name, theirs.name, mine.name]


def test_a_viewer_finds_no_session_for_none_would_open(project, people, client_of):
    make_session(project, people.lea, name="For everyone to label")

    assert found(client_of(people.vic), project.workspace, "everyone to label") == []
    assert len(found(client_of(people.ben), project.workspace, "everyone to label")) == 1


def test_of_many_the_newest_are_shown_and_that_there_are_more(project, people, client_of):
    for number in range(8):
        Guideline.objects.create(project=project, name=f"Border cases {number}", created_by=people.lea)
    lea = client_of(people.lea)

    assert [name for _, name in found(lea, project.workspace, "border")] == [
        f"Border cases {number}" for number in (7, 6, 5, 4, 3, 2)
    ]
    url = reverse("workspace_home:search", args=[project.workspace.slug])
    assert "Older ones are not shown" in lea.get(url, {"q": "border"}).content.decode()
