"""Supervised or DPO: what may be chosen for which data, what it comes to, and that it trains."""

import re
from typing import Any

import pytest
from django.urls import reverse

from apps.core.canonical import canonical_hash
from apps.datasets.models import Version
from apps.jobs.hyperparameters import HyperparameterError, recommend, resolve
from apps.jobs.job_files import VALIDATION_FILE, data_files_write, training_request
from apps.jobs.models import JobState, PointKind, TrainingJob
from apps.jobs.planning import PairCounts, RowCounts, make_plan
from apps.jobs.selectors import measured_rate, pair_counts
from apps.jobs.services import JobRefusedError, job_start
from apps.operations.services import operation_run
from tests.jobs.conftest import SHORT_RUN, freeze, operation_of

# --- Settings -------------------------------------------------------------------------------------------------------


def recommended(objective: str = "dpo", **facts):
    known: dict[str, Any] = {
        "method": "lora",
        "parameters": 7_000_000_000,
        "context_length": 2048,
        "rows": 1000,
    } | facts
    return recommend(objective=objective, **known)


def test_dpo_takes_the_values_of_its_paper_and_of_trl():
    # Rafailov et al. 2023, appendix B: beta 0.1, learning rate 1e-6; TRL's examples take ten times more for LoRA.
    full, lora = recommended(method="full"), recommended()
    assert (full["beta"].value, full["learning_rate"].value) == (0.1, pytest.approx(1e-6))
    assert lora["learning_rate"].value == pytest.approx(1e-5)
    assert "DPO" in lora["learning_rate"].reason


@pytest.mark.parametrize("beta", [0, -0.1, 2.01, float("nan"), "high"])
def test_beta_has_limits(beta):
    with pytest.raises(HyperparameterError) as refused:
        resolve({"beta": beta}, method="lora", recommended=recommended(), objective="dpo")
    assert refused.value.field == "beta"


def test_beta_is_of_dpo_alone_and_dpo_mixes_no_general_rows():
    assert resolve({"beta": 2}, method="lora", recommended=recommended(), objective="dpo")["beta"] == 2.0
    plain = recommended("supervised")
    assert "beta" not in resolve({}, method="lora", recommended=plain)
    for given, objective in (({"beta": 0.1}, "supervised"), ({"replay_rows": 5}, "dpo"), ({}, "kto")):
        with pytest.raises(HyperparameterError):
            resolve(given, method="lora", recommended=plain, objective=objective)


# --- Planning -------------------------------------------------------------------------------------------------------


def plan(pairs: PairCounts, objective: str = "dpo"):
    settings = resolve(
        {"batch_size": 10, "epochs": 1.0, "max_length": 64},
        method="lora",
        recommended=recommended(objective),
        objective=objective,
    )
    counts = RowCounts(rows=100, over_length=0, tokens=5000, tokens_truncated=5000, longest=60)
    return make_plan(counts, settings, validation_rows=20, rate=None, pairs=pairs, objective=objective)


def test_a_pair_has_two_conversations():
    found = plan(PairCounts(train=100, validation=20, train_rows=100))
    assert (found.examples, found.steps, found.tokens, found.in_pairs) == (100, 10, 10_000, True)
    assert [advice.text for advice in found.advice if "pair" in advice.text] == []


def test_rows_that_are_no_pairs_are_counted():
    found = plan(PairCounts(train=60, validation=0, train_rows=100))
    assert (found.examples, found.steps, found.tokens) == (60, 6, 6_000)
    texts = " ".join(advice.text for advice in found.advice)
    assert "40 rows are no preference pairs and will be left out." in texts
    assert "no validation rows" in texts


def test_supervised_training_on_pairs_says_what_it_learns():
    found = plan(PairCounts(train=60, validation=0, train_rows=100), "supervised")
    assert (found.examples, found.tokens, found.in_pairs) == (100, 5000, False)
    assert any("60 rows are preference pairs" in advice.text for advice in found.advice)


# --- Starting -------------------------------------------------------------------------------------------------------


@pytest.fixture
def start_on(project, base_model, people):
    """`start_on(version, …)`: a queued DPO job."""

    def begin(version: Version, objective: str = "dpo", **hyperparameters) -> TrainingJob:
        return job_start(
            project=project, version=version, base_model=base_model, name="", method="lora",
            hyperparameters=hyperparameters, objective=objective, by=people.lea,
        )  # fmt: skip

    return begin


@pytest.mark.django_db
def test_dpo_without_pairs_is_refused_with_the_count(start_on, version):
    with pytest.raises(JobRefusedError, match="none of the 24 training rows"):
        start_on(version)
    assert not TrainingJob.objects.exists()


@pytest.mark.django_db
def test_the_objective_and_beta_are_part_of_the_hash_and_supervised_keeps_the_one_it_had(start_on, project):
    version = freeze(project, pairs=24)
    supervised, dpo, closer = (
        start_on(version, "supervised"),
        start_on(version),
        start_on(version, beta=0.5),
    )
    assert len({job.configuration_hash for job in (supervised, dpo, closer)}) == 3
    assert (dpo.objective, dpo.configuration["objective"], dpo.hyperparameters["beta"]) == ("dpo", "dpo", 0.1)
    # As it was made before there was another objective.
    assert set(supervised.configuration) == {"base_model", "data", "replay", "method", "hyperparameters"}
    assert supervised.configuration_hash == canonical_hash(supervised.configuration)
    assert "beta" not in supervised.hyperparameters


@pytest.mark.django_db
def test_pairs_of_an_older_version_are_counted_now(project):
    version = freeze(project, train=6, validation=3, pairs=2, counted=False)
    assert pair_counts(version) == PairCounts(train=2, validation=2, train_rows=6)


@pytest.mark.django_db
def test_the_trainer_gets_validation_rows_only_if_some_are_pairs(start_on, project, tmp_path):
    version = freeze(project, pairs=5, validation_pairs=0)
    job = start_on(version, epochs=1.0)
    data_files_write(job=job, directory=tmp_path, check=lambda: None)
    request = training_request(job=job, directory=tmp_path, resume=False)
    assert not (tmp_path / VALIDATION_FILE).exists()
    assert (request.validation_file, request.hyperparameters.objective) == (None, "dpo")
    assert request.hyperparameters.beta == 0.1
    with pytest.raises(JobRefusedError, match="no validation pairs"):
        start_on(version, early_stopping_patience=2)


# --- The form -------------------------------------------------------------------------------------------------------


def url(project, page: str, *arguments) -> str:
    return reverse(f"jobs:{page}", args=[project.workspace.slug, project.slug, *arguments])


def text_of(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


@pytest.fixture
def lea(client_of, people, project, base_model):
    project.base_model = base_model.reference
    project.save()
    return client_of(people.lea)


@pytest.mark.django_db
def test_the_choice_is_there_only_for_pairs(lea, project):
    freeze(project)
    assert 'name="objective"' not in lea.get(url(project, "create")).content.decode()
    mixed = freeze(project, pairs=10)
    page = lea.get(url(project, "create"), {"version": mixed.pk})
    assert "10 of 24 training rows are preference pairs; DPO leaves the others out." in text_of(page)
    assert re.search(r'value="supervised"[^>]*checked', page.content.decode())
    assert 'name="beta"' not in page.content.decode()


@pytest.mark.django_db
def test_dpo_is_preselected_where_there_is_nothing_but_pairs(lea, project, base_model):
    version = freeze(project, pairs=24)
    page = lea.get(url(project, "create"))
    assert "All 24 training rows are preference pairs" in text_of(page)
    assert re.search(r'value="dpo"[^>]*checked', page.content.decode())
    assert 'name="beta"' in page.content.decode()
    # A tenth of 2e-3, the rate for supervised LoRA on a model of this size (docs/training.md).
    assert "2e-4" in text_of(page)
    sent = {"version": version.pk, "base_model": base_model.pk, "method": "lora", "accept_few": "on"}
    lea.post(url(project, "create"), sent)
    job = TrainingJob.objects.get()
    assert (job.objective, job.hyperparameters["learning_rate"]) == ("dpo", pytest.approx(2e-4))
    again = lea.get(url(project, "create"), {"from": job.pk}).content.decode()
    assert re.search(r'name="beta"[^>]*value="0.1"|value="0.1"[^>]*name="beta"', again)


@pytest.mark.django_db
def test_another_version_brings_the_choice_into_the_open_page(lea, project, base_model):
    version = freeze(project, pairs=24)
    values = {"version": version.pk, "base_model": base_model.pk, "method": "lora"}
    htmx = {"HX-Request": "true", "HX-Target": "section#job-preview"}
    first = lea.get(url(project, "create"), {**values, "objective_shown": ""}, headers=htmx).content.decode()
    assert 'hx-target="#job-objective"' in first
    assert "Training pairs" in first
    # What is shown already is left alone, so that nobody's typing is overwritten.
    shown = {**values, "objective": "dpo", "beta": "0.", "objective_shown": f"{version.pk} dpo"}
    assert (
        'hx-target="#job-objective"'
        not in lea.get(url(project, "create"), shown, headers=htmx).content.decode()
    )
    other = {**shown, "objective": "supervised"}
    changed = lea.get(url(project, "create"), other, headers=htmx).content.decode()
    assert 'hx-target="#job-objective"' in changed
    assert "24 rows are preference pairs: supervised training learns the preferred answer" in changed


# --- Training -------------------------------------------------------------------------------------------------------


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_dpo_job_trains_and_its_page_shows_the_rewards(lea, project, start_on, base_model):
    version = freeze(project, pairs=20)
    job = start_on(version, **SHORT_RUN)
    operation_run(operation_id=operation_of(job).pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED, job.error
    assert (job.plan["examples"], job.plan["unpaired_rows"], job.plan["validation_examples"]) == (20, 4, 8)
    first = job.points.filter(kind=PointKind.TRAIN).first()
    # Before the first step the model is its own reference: -log(1/2) (Rafailov et al. 2023, equation 7).
    assert first.loss == pytest.approx(0.6931, abs=1e-4)
    assert all(point.reward_accuracy is not None for point in job.points.all())
    assert job.model_version.kind == "adapter"
    page = text_of(lea.get(job.get_absolute_url()))
    assert "DPO with LoRA" in page
    assert "20, 4 rows left out as no pairs" in page
    points = lea.get(url(project, "metrics", job.pk)).json()
    assert points["points"][0][-1] == pytest.approx(0, abs=1e-4)
    assert measured_rate(base_model=base_model, method="lora") is None
    assert measured_rate(base_model=base_model, method="lora", objective="dpo") is not None
