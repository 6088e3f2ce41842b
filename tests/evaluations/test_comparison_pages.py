import re
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.evaluations.models import Answer, Comparison, ComparisonState, Run, Suite, SuiteItem
from apps.operations.models import Operation

pytestmark = pytest.mark.django_db

SHARES = {
    "the base model as it is": 0.1,
    "the written prompt": 0.3,
    "fine-tuned": 0.9,
    "untuned, general skills": 0.7,
    "fine-tuned, general skills": 0.7,
}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def url(name, project, *args):
    return reverse(f"evaluations:{name}", args=[project.workspace.slug, project.slug, *args])


@pytest.fixture
def done(world, decided):
    comparison = world.comparison(world.suite(), general_suite=world.general_suite())
    return decided(comparison, SHARES, **{"fine-tuned": {"texts": {3: HOSTILE}, "shift": 50}})


def rows_of(page) -> list[str]:
    """The flip of every row of the table of items."""
    return re.findall(r'flip-tag flip-tag-(\w+)"', page.content.decode())


def test_the_page_says_the_verdict_first(done, client_of, people, project):
    page = client_of(people.vic).get(url("comparison", project, done.pk))
    assert page.status_code == 200
    text = page.content.decode()
    assert done.outcome == "wins"
    places = [
        text.index(part)
        for part in ("Fine-tuned wins", "against the written prompt", "Majority class", "Item by item")
    ]
    assert places == sorted(places)
    assert "unknown" not in text[: places[2]]


def test_a_model_is_chosen_by_number_and_base_since_names_repeat(world, client_of, people, project):
    page = client_of(people.lea).get(url("create", project)).content.decode()
    tuned = world.tuned
    assert f"{tuned.name} (model {tuned.number}, from {tuned.base_model.name})" in page


def test_items_start_where_they_disagree_with_regressions_first(done, client_of, people, project):
    client = client_of(people.vic)
    baseline = done.contenders.get(label="the written prompt").variant
    page = client.get(url("comparison", project, done.pk), {"baseline": baseline.pk})
    flips = rows_of(page)
    counts = {flip: flips.count(flip) for flip in set(flips)}
    pair = next(pair for pair in done.verdict["comparisons"] if pair["name"] == "the written prompt")
    assert counts == {"broken": pair["counts"]["broken"], "fixed": pair["counts"]["fixed"]}
    assert flips == sorted(flips)  # "broken" sorts before "fixed"
    page = client.get(url("comparison", project, done.pk), {"baseline": baseline.pk, "flip": "same_right"})
    assert rows_of(page) == ["same_right"] * pair["counts"]["same_right"]


def test_a_cell_of_the_confusion_matrix_leads_to_its_rows(done, client_of, people, project):
    run = Run.objects.get(suite=done.suite, variant=done.candidate)
    assert run.metrics is not None
    matrix = run.metrics["labels"]["category"]["confusion"]
    assert matrix["columns"][-1] == "(invalid)"  # the hostile answer names no category
    client = client_of(people.vic)
    seen = 0
    for row, counts in zip(matrix["rows"], matrix["counts"], strict=True):
        for column, count in zip(matrix["columns"], counts, strict=True):
            cell = {"field": "category", "expected": row, "answer": column, "of": "candidate"}
            found = rows_of(client.get(url("comparison", project, done.pk), cell))
            assert len(found) == count, cell
            seen += count
    assert seen == 60


def test_general_items_filter_by_skill(done, client_of, people, project):
    page = client_of(people.vic).get(
        url("comparison", project, done.pk), {"items": "general", "skill": "copy"}
    )
    assert len(rows_of(page)) == 30


def test_answers_of_models_are_never_markup(done, client_of, people, project):
    client = client_of(people.vic)
    item = SuiteItem.objects.get(suite=done.suite, position=3)
    assert Answer.objects.filter(item=item, text=HOSTILE).exists()
    pages = [
        client.get(url("comparison", project, done.pk), {"flip": "all"}),
        client.get(url("item", project, done.pk, item.pk)),
    ]
    for page in pages:
        text = page.content.decode()
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "&lt;script&gt;" in text


def test_an_unscored_answer_says_why(world, decided, client_of, people, project):
    comparison = decided(world.comparison(world.suite()), SHARES, **{"fine-tuned": {"unscored": 2}})
    page = client_of(people.vic).get(url("comparison", project, comparison.pk), {"flip": "unscored"})
    text = page.content.decode()
    assert len(rows_of(page)) == 2
    assert "The local model did not answer in time." in text
    assert "2 without an answer" in text


def test_the_provenance_shows_what_was_sent(done, client_of, people, project):
    text = client_of(people.vic).get(url("provenance", project, done.pk)).content.decode()
    assert done.verdict_hash in text
    assert done.suite.hash in text
    assert "Sort it well." in text


def test_a_running_comparison_shows_how_far_it_is_and_reloads_at_the_end(
    world, decided, client_of, people, project
):
    comparison = world.comparison(world.suite())
    client = client_of(people.vic)
    live = {"HX-Request": "true", "HX-Target": "div#live"}
    page = client.get(url("comparison", project, comparison.pk))
    assert 'id="live"' in page.content.decode()
    assert "Contenders" not in page.content.decode()
    part = client.get(url("comparison", project, comparison.pk), headers=live)
    assert "<html" not in part.content.decode()
    assert "HX-Refresh" not in part.headers
    decided(comparison, SHARES)
    assert client.get(url("comparison", project, comparison.pk), headers=live).headers["HX-Refresh"] == "true"


def test_a_stopped_comparison_says_why_and_can_go_on(world, client_of, people, project):
    comparison = world.comparison(world.suite())
    Operation.objects.update(state="failed")
    Comparison.objects.filter(pk=comparison.pk).update(
        state=ComparisonState.FAILED, error="The inference program is away."
    )
    where = url("comparison", project, comparison.pk)
    assert "The inference program is away." in client_of(people.vic).get(where).content.decode()
    resume = url("resume", project, comparison.pk)
    assert client_of(people.vic).post(resume).status_code == 403
    assert client_of(people.lea).post(resume).status_code == 302
    comparison.refresh_from_db()
    assert comparison.state == ComparisonState.QUEUED
    assert AuditEvent.objects.filter(action="comparison.resumed", actor=people.lea).exists()


def form_data(world, **changes):
    return {
        "model_version": world.tuned.pk,
        "suite": f"version:{world.version.pk}",
        "zero_shot": "on",
        "written_prompt": "Sort it well.",
        "few_shot": "3",
        "few_shot_with_prompt": "on",
        "general_suite": "",
        "smallest_gain": "2",
        "general_margin": "3",
        "name": "",
        **changes,
    }


def test_the_form_makes_suite_variants_and_comparison(world, client_of, people, project):
    client = client_of(people.lea)
    assert client.get(url("create", project)).status_code == 200
    response = client.post(url("create", project), form_data(world))
    comparison = Comparison.objects.get()
    assert (response.status_code, response.url) == (302, comparison.get_absolute_url())
    assert comparison.suite.item_count == 60
    assert comparison.candidate.model_version_id == world.tuned.pk
    labels = list(comparison.contenders.values_list("label", flat=True))
    assert labels == ["the base model as it is", "the written prompt", "few-shot (3 examples)"]
    few_shot = comparison.contenders.get(label="few-shot (3 examples)").variant
    assert (few_shot.system_prompt, len(few_shot.few_shot)) == ("Sort it well.", 6)
    assert Operation.objects.get().subject_id == comparison.pk
    # The next form proposes the prompt written before, and the suite that is frozen now.
    text = client.get(url("create", project)).content.decode()
    assert "Sort it well." in text
    assert f"suite:{comparison.suite_id}" in text


def test_a_form_that_cannot_be_used_keeps_its_input(world, client_of, people, project):
    client = client_of(people.lea)
    response = client.post(
        url("create", project), form_data(world, zero_shot="", written_prompt="", few_shot="0")
    )
    assert response.status_code == 422
    assert "Without a baseline nothing is compared" in response.content.decode()
    response = client.post(url("create", project), form_data(world, smallest_gain="0", name="Mine"))
    assert response.status_code == 422
    assert 'value="Mine"' in response.content.decode()
    assert not Comparison.objects.exists()


def test_the_preview_counts_calls(world, client_of, people, project):
    general = world.general_suite(90)
    page = client_of(people.lea).get(
        url("preview", project), form_data(world, general_suite=f"suite:{general.pk}")
    )
    text = re.sub(r"\s+", " ", page.content.decode())
    assert "at most 420" in text  # 60 items x 4 contenders + 90 general items x 2
    assert "unknown until the first evaluation" in text


def test_a_bad_file_of_items_is_refused_with_its_lines(client_of, people, project):
    from django.core.files.uploadedfile import SimpleUploadedFile

    client = client_of(people.lea)
    good = b'{"messages": [{"role": "user", "content": "Say 1."}], "expected": "1", "skill": "copy"}\n'
    data = {"name": "Mine", "kind": "general", "file": SimpleUploadedFile("items.jsonl", good + b"{oops\n")}
    response = client.post(url("upload_suite", project), data)
    assert response.status_code == 422
    assert "Line 2: not valid JSON" in response.content.decode()
    assert not Suite.objects.exists()
    response = client.post(
        url("upload_suite", project), {**data, "file": SimpleUploadedFile("i.jsonl", good)}
    )
    assert response.status_code == 302
    assert client.get(response.url).status_code == 200


def test_what_belongs_to_others_is_not_found(done, client_of, people, project, other_workspace):
    from apps.projects.models import Project

    item = SuiteItem.objects.get(suite=done.suite, position=1)
    theirs = Project.objects.create(workspace=other_workspace, name="Theirs", slug="theirs")
    paths = [
        ("comparison", done.pk),
        ("item", done.pk, item.pk),
        ("provenance", done.pk),
        ("suite", done.suite_id),
    ]
    for name, *args in paths:
        assert client_of(people.zoe).get(url(name, project, *args)).status_code == 404
        assert client_of(people.zoe).get(url(name, theirs, *args)).status_code == 404
    assert client_of(people.lea).post(url("resume", theirs, done.pk)).status_code == 404
    # An item of another suite of the same project is no item of this comparison.
    other = Suite.objects.create(
        project=project, name="o", kind="task", answer_form={"kind": "text"}, hash="x"
    )
    stray = SuiteItem.objects.create(suite=other, position=1, messages=[], expected="e")
    assert client_of(people.lea).get(url("item", project, done.pk, stray.pk)).status_code == 404


def test_only_those_who_may_evaluate_start_one(world, client_of, people, project):
    for person in (people.vic, people.ben, people.rob):
        assert client_of(person).get(url("create", project)).status_code == 403
        assert client_of(person).post(url("create", project), form_data(world)).status_code == 403
        assert client_of(person).post(url("add_general_suite", project)).status_code == 403
    assert not Comparison.objects.exists()


def test_the_list_costs_the_same_however_long_it_is(world, decided, client_of, people, project):
    client = client_of(people.vic)
    suite = world.suite()
    decided(world.comparison(suite), SHARES)

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get(url("index", project)).status_code == 200
        return len(captured)

    queries()
    one = queries()
    for _ in range(8):
        world.comparison(suite)
    assert queries() == one


def test_ten_thousand_answers_do_not_slow_the_page(make_world, decided, client_of, people, project):
    world = make_world(train=20, test=5_000)
    comparison = decided(world.comparison(world.suite()), SHARES, **{"fine-tuned": {"shift": 100}})
    assert Answer.objects.count() == 15_000
    client = client_of(people.vic)
    address = url("comparison", project, comparison.pk)
    client.get(address)
    with CaptureQueriesContext(connection) as captured:
        started = time.process_time()
        page = client.get(address)
        seconds = time.process_time() - started
    assert len(rows_of(page)) == 50
    assert len(captured) <= 40
    payload = [query["sql"] for query in captured if '"evaluations_answer"."text"' in query["sql"]]
    assert len(payload) == 1  # texts are read for the rows of the page only
    assert seconds < 2.0  # of the processor, whoever else uses it; this catches work per answer
