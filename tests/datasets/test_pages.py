"""Who sees what, and that lists stay cheap."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.audit.models import AuditEvent
from apps.datasets.models import Example, Import, Version
from apps.projects.models import Project
from tests.datasets.conftest import lines, row, tickets, url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def version(dataset_of, freeze) -> Version:
    frozen: Version = freeze(dataset_of(tickets(120)))
    return frozen


def places(project, version):
    dataset = version.dataset
    record = dataset.imports.order_by("pk")[0]
    looks = [
        url("index", project),
        url("detail", project, dataset.pk),
        url("detail", project, dataset.pk) + "?tab=versions",
        url("detail", project, dataset.pk) + "?tab=imports",
        url("import", project, record.pk),
        url("rejected_lines", project, record.pk),
        url("original_file", project, record.pk),
        url("example", project, Example.objects.order_by("pk")[3].pk),
        url("version", project, version.pk),
        url("version_rows", project, version.pk),
        url("version_rows", project, version.pk) + "?split=test",
        url("download", project, version.pk, "train"),
        url("manifest", project, version.pk),
    ]
    edits = [url("upload", project), url("edit", project, dataset.pk), url("freeze", project, dataset.pk)]
    changes = [
        url("commit", project, record.pk),
        url("discard", project, record.pk),
        url("check_again", project, record.pk),
        url("delete", project, dataset.pk),
        url("freeze_again", project, version.pk),
        url("delete_version", project, version.pk),
    ]
    return looks, edits, changes


def test_viewers_look_reviewers_edit_strangers_find_nothing(
    version, project, client_of, people, vic, rob, client
):
    looks, edits, changes = places(project, version)
    for place in looks:
        assert vic.get(place).status_code == 200, place
        assert client.get(place).status_code == 302, place
    for place in edits:
        assert rob.get(place).status_code == 200, place
    for place in edits + changes:
        assert vic.post(place).status_code == 403, place
        assert client_of(people.ben).post(place).status_code == 403, place
    for place in looks + edits:
        assert client_of(people.zoe).get(place).status_code == 404, place
    for place in changes:
        assert client_of(people.zoe).post(place).status_code == 404, place


def test_an_id_of_another_project_is_not_found(version, workspace, rob):
    other = Project.objects.create(workspace=workspace, name="Other", slug="other")
    looks, edits, changes = places(other, version)
    own = {url("index", other), url("upload", other)}
    for place in [*looks, *edits]:
        assert rob.get(place).status_code == (200 if place in own else 404), place
    for place in changes:
        assert rob.post(place).status_code == 404, place


def queries(client, place: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(place).status_code == 200
    return len(captured)


def test_lists_cost_the_same_however_much_there_is(version, upload, freeze, vic, project):
    dataset = version.dataset
    pages = [
        url("index", project),
        url("detail", project, dataset.pk),
        url("detail", project, dataset.pk) + "?tab=versions",
        url("detail", project, dataset.pk) + "?tab=imports",
        url("version_rows", project, version.pk),
    ]
    before = [queries(vic, page) for page in pages]
    for number in range(4):
        freeze(dataset, seed=number)
        upload(tickets(5 + number), dataset=dataset)
        upload(lines(row("a")), name=f"other {number}.jsonl")
    assert [queries(vic, page) for page in pages] == before


def test_lists_load_no_payloads(version, vic, project):
    for place in (
        url("index", project),
        url("detail", project, version.dataset_id),
        url("version_rows", project, version.pk),
    ):
        with CaptureQueriesContext(connection) as captured:
            vic.get(place)
        # As a plain column; the excerpts are cut from the payload by the database.
        columns = [f'"datasets_example"."{name}", "' for name in ("raw", "payload", "text", "words")]
        loaded = [query["sql"] for query in captured if any(column in query["sql"] for column in columns)]
        assert not loaded


def test_a_row_shows_its_origin_its_versions_and_its_neighbours(version, vic, project):
    first, second, third = Example.objects.order_by("pk")[:3]
    response = vic.get(url("example", project, second.pk))
    page = response.content.decode()
    assert "Ticket 1: my order is late" in page
    assert "Line 2" in page
    assert "tickets.jsonl" in page
    assert "Version 1" in page
    assert (response.context["neighbours"].previous, response.context["neighbours"].next) == (
        first.pk,
        third.pk,
    )
    # Within a search the neighbours are those of the hits: Ticket 1, Ticket 10, Ticket 11 …
    found = vic.get(url("example", project, second.pk), {"q": '"Ticket 10"'})
    assert found.context["neighbours"].next == Example.objects.order_by("pk")[10].pk


def test_hostile_text_is_shown_as_text(dataset_of, vic, project):
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    dataset = dataset_of(lines(row(attack, attack, metadata={attack: attack})))
    for place in (url("detail", project, dataset.pk), url("example", project, Example.objects.get().pk)):
        page = vic.get(place).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;" in page


def test_the_empty_page_teaches_and_offers_a_file_to_try(rob, vic, project):
    page = rob.get(url("index", project)).content.decode()
    assert "No data yet" in page
    assert url("sample", project) in page
    sample = rob.get(url("sample", project))
    assert sample.getvalue().startswith(b'{"messages"')
    assert "Import a file" not in vic.get(url("index", project)).content.decode()


def test_the_sample_file_has_no_problems(upload, rob, project):
    record = upload(rob.get(url("sample", project)).getvalue())
    assert record.problem_count == 0
    assert record.row_count > 500


def test_a_dataset_is_renamed_and_the_record_says_so(version, rob, project):
    dataset = version.dataset
    rob.post(url("edit", project, dataset.pk), {"name": "Tickets", "description": "From the help desk"})
    dataset.refresh_from_db()
    assert dataset.name == "Tickets"
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {
        "dataset.created",
        "import.uploaded",
        "import.committed",
        "version.frozen",
        "dataset.updated",
    } <= actions
    assert Import.objects.get().file_name == "tickets.jsonl"


def test_groups_are_offered_by_what_is_in_the_data(version, rob, project):
    page = rob.get(url("freeze", project, version.dataset_id)).content.decode()
    assert "metadata.wording" in page


def test_conversations_that_the_data_name_are_kept_together_unless_told_otherwise(dataset_of, rob, project):
    rows = [row(f"question {n}", "x", metadata={"kind": n % 2, "thread_id": n // 2}) for n in range(20)]
    dataset = dataset_of(lines(*rows))
    form = rob.get(url("freeze", project, dataset.pk)).context["form"]
    assert form["group_path"].value() == "metadata.thread_id"
