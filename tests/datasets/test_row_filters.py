"""Filters of rows: what the URL means, which rows fit, in which order, and by which plan."""

import pytest
from django.db import connection
from django.http import QueryDict
from django.utils import timezone

from apps.datasets.models import CheckReport, Dataset, Example, Finding, FindingRow, Version
from apps.datasets.row_filters import RowFilter
from apps.datasets.row_finding import count_rows, find_ids
from apps.datasets.selectors import version_rows_page
from apps.datasets.services import dataset_create
from tests.datasets.conftest import url
from tests.datasets.test_search import plans

ANSWERS = ("billing", "access", "bug")
ROWS = 9000


@pytest.fixture
def dataset(project, people) -> Dataset:
    """Nine thousand rows: answers take turns, the last thousand come as test, one in a hundred is tagged, every
    fiftieth is long, row 4711 has an answer of its own, and the first ten are removed."""
    made = dataset_create(project=project, name="Many", actor=people.rob)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO datasets_example
                (dataset_id, line, raw, payload, content_hash, text, split, tags, created_at, removed_at)
            SELECT %(dataset)s, n, 'x', jsonb_build_object('messages', jsonb_build_array(
                       jsonb_build_object('role', 'user', 'content', t),
                       jsonb_build_object('role', 'assistant', 'content',
                           CASE WHEN n = 4711 THEN 'other' ELSE (ARRAY['billing','access','bug'])[1 + n %% 3] END))),
                   md5(t), t, CASE WHEN n > 8000 THEN 'test' ELSE '' END,
                   CASE WHEN n %% 100 = 0 THEN ARRAY['check'] ELSE ARRAY[]::varchar[] END, now(),
                   CASE WHEN n <= 10 THEN now() END
            FROM (SELECT n, 'ticket ' || n || CASE WHEN n %% 50 = 0 THEN repeat(' long', 100) ELSE '' END AS t
                  FROM generate_series(1, %(rows)s) AS n) AS made
            """,
            {"dataset": made.pk, "rows": ROWS},
        )
        cursor.execute("ANALYZE datasets_example")
    Dataset.objects.filter(pk=made.pk).update(example_count=ROWS - 10)
    return made


def lines_of(ids: list[int]) -> list[int]:
    found = Example.objects.in_bulk(ids)
    return [found[pk].line or 0 for pk in ids]


# Worked out from the numbers in the fixture's description, without the database.
STANDING = range(11, ROWS + 1)
FILTERS: dict[str, list[int]] = {
    "": list(STANDING),
    "answer=other": [4711],
    "answer=bug": [n for n in STANDING if n % 3 == 2 and n != 4711],
    "split=test": list(range(8001, ROWS + 1)),
    "split=none": list(range(11, 8001)),
    "tag=check": list(range(100, ROWS + 1, 100)),
    "min=400": list(range(50, ROWS + 1, 50)),
    "max=9": [n for n in range(11, 100) if n != 50],
    "state=removed": list(range(1, 11)),
    "split=test&answer=billing&min=400": [n for n in range(8001, ROWS + 1) if n % 3 == 0 and n % 50 == 0],
    "tag=check&q=long&split=test": list(range(8100, ROWS + 1, 100)),
    "tag=nobody": [],
    "q=ticket+4711&answer=other": [4711],
}


@pytest.mark.django_db
@pytest.mark.parametrize("query", FILTERS)
def test_a_filter_finds_its_rows_in_order_from_both_ends(query, dataset):
    wanted, expected = RowFilter.of(QueryDict(query)), FILTERS[query]
    assert wanted.query.replace("%20", "+") == query.replace("%20", "+") or set(
        wanted.query.split("&")
    ) == set(query.split("&"))
    assert lines_of(find_ids(dataset, wanted, limit=51)) == expected[:51]
    assert lines_of(find_ids(dataset, wanted, before=10**12, limit=51)) == expected[::-1][:51]
    assert count_rows(dataset, wanted) == len(expected)
    if len(expected) > 60:
        key = find_ids(dataset, wanted, limit=51)[50]
        assert lines_of(find_ids(dataset, wanted, after=key, limit=5)) == expected[51:56]


@pytest.mark.django_db
def test_rows_that_are_picked_and_rows_of_a_finding(dataset):
    keys = list(Example.objects.filter(dataset=dataset, line__in=[500, 20]).values_list("key", flat=True))
    assert lines_of(find_ids(dataset, RowFilter(rows=tuple(keys)), limit=51)) == [20, 500]
    for lines, state in (([700], "done"), ([5, 700, 8500], "done"), ([20], "checking")):
        report = CheckReport.objects.create(dataset=dataset, state=state)
        finding = Finding.objects.create(
            report=report,
            check_name="near",
            code="near",
            severity="attention",
            title="3 rows",
            actions=[],
            item_count=1,
            open_count=1,
            row_count=3,
        )
        for example in Example.objects.filter(dataset=dataset, line__in=lines):
            FindingRow.objects.create(finding=finding, item=1, key="k", example=example)
    wanted = RowFilter.of(QueryDict("finding=near"))
    assert wanted.query == "finding=near"
    # Of the newest report that is done; line 5 was removed since.
    assert lines_of(find_ids(dataset, wanted, limit=51)) == [700, 8500]
    assert lines_of(find_ids(dataset, RowFilter(finding="near", split="test"), limit=51)) == [8500]
    assert find_ids(dataset, RowFilter(finding="other"), limit=51) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("answer=other", "example_answer_page"),
        ("split=test", "example_split_page"),
        ("tag=rare", "example_tags"),
        ("min=4000", "example_characters"),
        ("state=removed", "example_removed_page"),
    ],
)
def test_each_filter_has_its_index_and_none_reads_the_whole_table(query, index, dataset):
    found = plans(lambda: find_ids(dataset, RowFilter.of(QueryDict(query)), limit=51))
    assert index in "".join(found)
    assert "Seq Scan on datasets_example" not in "".join(found)
    assert len(found) <= 2


def test_what_makes_no_sense_is_left_out():
    query = (
        "split=elsewhere&min=many&max=-4&source=9999999999999999999999&state=gone&row=x&row=7&q=%00+&tag=%00"
    )
    wanted = RowFilter.of(QueryDict(query))
    assert wanted == RowFilter(rows=(7,), words=wanted.words)
    assert wanted.text_query == ""


def test_each_condition_can_be_taken_away():
    wanted = RowFilter.of(QueryDict("q=late&tag=check&min=5"))
    assert [(part.text, part.query_without) for part in wanted.conditions()] == [
        ("words: late", "min=5&tag=check"),
        ("at least 5 characters", "q=late&tag=check"),
        ("tag: check", "q=late&min=5"),
    ]


@pytest.mark.django_db
def test_the_page_filters_by_its_address_and_a_row_knows_its_neighbours(dataset, vic, project):
    place = url("detail", project, dataset.pk)
    response = vic.get(place, {"tag": "check", "split": "test"})
    assert [row.line for row in response.context["page"].rows] == list(range(8100, ROWS + 1, 100))
    second = response.context["page"].rows[1]
    row = vic.get(url("example", project, second.pk), {"tag": "check", "split": "test"})
    neighbours = row.context["neighbours"]
    assert lines_of([neighbours.previous, neighbours.next]) == [8100, 8300]
    removed = vic.get(place, {"state": "removed"})
    assert [row.line for row in removed.context["page"].rows] == list(range(1, 11))


@pytest.mark.django_db
def test_a_filter_is_kept_under_a_name_and_deleted(dataset, rob, project):
    place = url("save_filter", project, dataset.pk)
    assert rob.post(place + "?tag=check&min=5", {"name": "To check"}).status_code == 302
    (saved,) = dataset.saved_filters.all()
    assert saved.query == "min=5&tag=check"
    page = rob.get(url("detail", project, dataset.pk)).content.decode()
    assert "To check" in page
    rob.post(place + "?tag=check", {"name": "To check"})
    saved.refresh_from_db()
    assert saved.query == "tag=check"
    rob.post(url("delete_filter", project, dataset.pk), {"name": "To check"})
    assert not dataset.saved_filters.exists()


# Of a version that holds every row but those of the removed ones; every tenth is in validation.
OF_VERSION: dict[str, list[int]] = {
    "answer=other": [4711],
    "answer=bug": [n for n in STANDING if n % 3 == 2 and n != 4711],
    "split=validation": list(range(20, ROWS + 1, 10)),
    "answer=billing&split=validation&min=400": list(range(150, ROWS + 1, 150)),
    "tag=check&q=long": list(range(100, ROWS + 1, 100)),
    "min=400": list(range(50, ROWS + 1, 50)),
    "q=nowhere": [],
}


@pytest.mark.django_db
@pytest.mark.parametrize("query", OF_VERSION)
def test_the_rows_of_a_version_are_filtered_in_the_order_of_their_positions(query, dataset):
    version = Version.objects.create(dataset=dataset, number=1)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO datasets_versionrow (version_id, example_id, position, split, "group")
            SELECT %s, id, row_number() OVER (ORDER BY key),
                   CASE WHEN line %% 10 = 0 THEN 'validation' ELSE 'train' END, ''
            FROM datasets_example WHERE dataset_id = %s AND removed_at IS NULL ORDER BY key
            """,
            [version.pk, dataset.pk],
        )
        cursor.execute("ANALYZE datasets_versionrow")
    # What was removed since is in the version still.
    Example.objects.filter(dataset=dataset, line__gt=8990).update(removed_at=timezone.now())
    wanted, expected = RowFilter.of(QueryDict(query)), OF_VERSION[query]
    page = version_rows_page(version, wanted, QueryDict(query))
    assert [row.example.line for row in page.rows] == expected[:50]
    if page.after is not None:
        following = version_rows_page(version, wanted, QueryDict(f"{query}&after={page.after}"))
        assert [row.example.line for row in following.rows] == expected[50:100]
        back = version_rows_page(version, wanted, QueryDict(f"{query}&before={following.before}"))
        assert [row.example.line for row in back.rows] == expected[:50]
    last = find_ids(dataset, wanted, version=version, before=10**12, limit=5)
    assert lines_of(last) == expected[::-1][:5]
