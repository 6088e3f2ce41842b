"""Search: what the words mean, pages by key in both directions, and the plan that keeps it fast."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.datasets.models import Dataset, Example
from apps.datasets.row_filters import RowFilter
from apps.datasets.row_finding import find_ids
from apps.datasets.search import text_query
from apps.datasets.selectors import examples_page
from apps.datasets.services import dataset_create
from tests.datasets.conftest import url


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("refund", "'refund':*"),
        ("card twice", "'card' & 'twice':*"),
        ('card "charged twice"', "'card' & 'charged twice'"),
        ('"charged twice" card', "'charged twice' & 'card':*"),
        ("don't", "'don''t':*"),
        ("back\\slash", "'back slash':*"),
        ("  ", ""),
        ("& | ! ( ) :*", ""),
        ('"', ""),
        ("a\x00b", "'ab':*"),
    ],
)
def test_what_is_typed_becomes_a_query(typed, query):
    assert text_query(typed) == query


@pytest.fixture
def dataset(project, people) -> Dataset:
    """Six thousand rows: every second "common", one in a thousand "rare", the last five hundred "late"."""
    dataset = dataset_create(project=project, name="Many", actor=people.rob)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO datasets_example (dataset_id, line, raw, payload, content_hash, text, created_at)
            SELECT %s, n, 'x', jsonb_build_object('messages', jsonb_build_array(
                       jsonb_build_object('role', 'user', 'content', t),
                       jsonb_build_object('role', 'assistant', 'content', 'ok'))), md5(t), t, now()
            FROM (SELECT n, 'ticket ' || n || CASE WHEN n %% 2 = 0 THEN ' common' ELSE '' END
                         || CASE WHEN n %% 1000 = 0 THEN ' rarely, at last' ELSE '' END
                         || CASE WHEN n > 5500 THEN ' late' ELSE '' END AS t
                  FROM generate_series(1, 6000) AS n) AS made
            """,
            [dataset.pk],
        )
        cursor.execute("ANALYZE datasets_example")
    Dataset.objects.filter(pk=dataset.pk).update(example_count=6000)
    return dataset


def texts(ids: list[int]) -> list[str]:
    found = Example.objects.in_bulk(ids)
    return [found[pk].text for pk in ids]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "words",
    [
        "common",
        "rare",
        "late",
        "late common",
        "rarely comm",
        "common rar",
        "ticket 17",
        '"rarely at last"',
        "nowhere",
    ],
)
def test_every_word_is_found_in_order_from_both_ends(dataset, words):
    *whole, last = words.replace('"', "").split()
    expected = []
    for example in Example.objects.filter(dataset=dataset).order_by("pk"):
        found = example.text.replace(",", "").split()
        if set(whole) <= set(found) and any(word.startswith(last) for word in found):
            expected.append(example.pk)
    query = RowFilter(words=words)
    assert find_ids(dataset, query, limit=60) == expected[:60]
    assert find_ids(dataset, query, before=10**12, limit=60) == expected[::-1][:60]
    if len(expected) > 3:
        assert find_ids(dataset, query, after=expected[1], limit=2) == expected[2:4]
        assert find_ids(dataset, query, before=expected[2], limit=2) == expected[1::-1]


@pytest.mark.django_db
def test_pages_of_hits_follow_each_other_there_and_back(dataset):
    first = examples_page(dataset, {"q": "late"})
    second = examples_page(dataset, {"q": "late", "after": str(first.after)})
    back = examples_page(dataset, {"q": "late", "before": str(second.before)})
    assert [each.pk for each in back.rows] == [each.pk for each in first.rows]
    assert first.before is None
    assert first.query == "q=late"
    assert second.rows[0].pk > first.rows[-1].pk
    last = examples_page(dataset, {"q": "rare"})
    assert (len(last.rows), last.after) == (6, None)


@pytest.mark.django_db
def test_rows_of_another_dataset_are_not_found(dataset, project, people):
    other = dataset_create(project=project, name="Other", actor=people.rob)
    assert find_ids(other, RowFilter(words="common"), limit=10) == []


def plans(ask) -> list[str]:
    """The plan of each statement that `ask` sends."""
    with CaptureQueriesContext(connection) as captured:
        ask()
    found = []
    for query in captured.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {query['sql']}")
            found.append("\n".join(row[0] for row in cursor.fetchall()))
    return found


@pytest.mark.django_db
def test_rare_words_are_found_by_the_index_and_pages_by_their_key(dataset):
    near, by_index = plans(lambda: find_ids(dataset, RowFilter(words='"rarely at last"'), limit=51))
    assert "example_words" in by_index
    for plan in (near, by_index):
        assert "Seq Scan" not in plan
    assert "one_form_of_a_row_stands" in near


@pytest.mark.django_db
def test_the_page_searches_by_its_address(dataset, vic, project):
    page = vic.get(url("detail", project, dataset.pk), {"q": "rare"}).content.decode()
    assert page.count("rarely, at last") == 6
    assert 'value="rare"' in page
    nothing = vic.get(url("detail", project, dataset.pk), {"q": "zebra"}).content.decode()
    assert "No row fits" in nothing


@pytest.mark.django_db
def test_htmx_gets_the_rows_alone(dataset, vic, project):
    response = vic.get(
        url("detail", project, dataset.pk),
        {"q": "rare"},
        headers={"HX-Request": "true", "HX-Target": "div#rows"},
    )
    assert response.content.decode().lstrip().startswith('<div id="rows"')
