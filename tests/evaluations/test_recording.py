import pytest

from apps.audit.models import AuditEvent
from apps.core.errors import ConflictError
from apps.evaluations.models import Answer, Comparison, ComparisonState, Run
from apps.evaluations.selectors.recordings import RECORD_KIND
from apps.evaluations.services.comparisons import ComparisonError, LeakageError
from apps.evaluations.services.planning import Wish, comparison_from_wish
from apps.evaluations.services.recording import Recording, recording_close, recording_start
from apps.evaluations.services.suites import suite_from_version
from apps.jobs.models import JobState, TrainingJob
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from apps.providers.opening import adapters_forget
from apps.providers.plugs import uses_of
from apps.registry.models import BaseModel, ModelVersion
from apps.registry.services import model_version_create
from tests.jobs.archives import connect
from tests.providers.openai_peer import OpenAIPeer
from tests.providers.openai_server import BASE_MODEL

pytestmark = pytest.mark.django_db(transaction=True)
OLD = "ft:gpt-4o-mini-2024-07-18:peer:tickets:0000"


@pytest.fixture
def peer():
    peer = OpenAIPeer()
    peer.start()
    yield peer
    adapters_forget()
    peer.stop()


@pytest.fixture
def old(world, workspace, project, people, peer, settings) -> ModelVersion:
    """A tuned model at a provider that still answers."""
    settings.FTPORTAL_ALLOW_PRIVATE_URLS = True
    peer.state.jobs["ftjob-1"] = {"fine_tuned_model": OLD}
    connection = connect(workspace, peer, people.ann)
    base = BaseModel.objects.create(
        workspace=workspace, provider="openai", connection=connection, reference=BASE_MODEL, name=BASE_MODEL
    )
    model = model_version_create(
        project=project, base_model=base, kind="remote", artifact=None, name="Old tickets",
        validation_loss=None, best_step=None, actor=people.lea, provider_model=OLD,
    )  # fmt: skip
    TrainingJob.objects.create(
        project=project, number=90, name="Old tickets", version=world.version, base_model=base, provider="openai",
        method="managed", configuration={}, configuration_hash="ef" * 32, state=JobState.SUCCEEDED,
        model_version=model,
    )  # fmt: skip
    return model


def start(world, model, **more) -> Run:
    wish = Recording(model_version=model, suite=more.pop("suite", None) or world.suite(), **more)
    return recording_start(project=world.project, wish=wish, by=world.by)


def work() -> None:
    for operation in Operation.objects.filter(kind=RECORD_KIND, state=OperationState.QUEUED):
        operation_run(operation_id=operation.pk)


def asked(peer) -> int:
    return sum(path.endswith("/chat/completions") for _, path in peer.state.requests)


def test_every_item_is_asked_once_and_the_run_is_closed(world, old, peer):
    run = start(world, old)
    work()
    run.refresh_from_db()
    assert run.is_finished
    assert (run.answered, run.failed) == (60, 0)
    assert set(Answer.objects.filter(run=run).values_list("text", flat=True)) == {"It is on its way."}
    assert asked(peer) == 60
    assert AuditEvent.objects.get(action="recording.started").data["trained_on"] == 0
    assert start(world, old) == run
    assert not Operation.objects.filter(kind=RECORD_KIND, state=OperationState.QUEUED).exists()


def test_a_comparison_uses_the_recorded_answers_when_the_model_is_gone(world, old, peer, inference):
    run = start(world, old)
    work()
    run.refresh_from_db()
    peer.stop()
    wish = Wish(
        model_version=world.tuned, suite=run.suite, recorded=run, zero_shot=False,
        general_suite=world.general_suite(12),
    )  # fmt: skip
    comparison = comparison_from_wish(project=world.project, wish=wish, by=world.by)
    operation = Operation.objects.get(subject_type="evaluations.comparison", subject_id=comparison.pk)
    operation_run(operation_id=operation.pk)
    comparison = Comparison.objects.get(pk=comparison.pk)
    assert comparison.state == ComparisonState.DONE, comparison.error
    (contender,) = comparison.contenders.all()
    assert (contender.label, contender.variant) == ("the model it replaces", run.variant)
    assert asked(peer) == 60


def test_a_run_whose_answers_are_all_here_is_closed_without_the_model(world, old, peer):
    run = start(world, old)
    work()
    Run.objects.filter(pk=run.pk).update(finished_at=None, metrics=None)  # as if the last write had been lost
    peer.stop()
    start(world, old)
    work()
    run.refresh_from_db()
    assert run.is_finished
    assert run.answered == 60


def test_a_recording_that_broke_off_keeps_its_answers_and_can_be_closed(world, old, people):
    suite = world.suite()
    run = start(world, old, suite=suite)
    with pytest.raises(ConflictError):
        recording_close(run=run, by=people.lea)
    operation = Operation.objects.get(kind=RECORD_KIND)
    Operation.objects.filter(pk=operation.pk).update(state=OperationState.FAILED)
    with pytest.raises(ConflictError, match="no answer"):
        recording_close(run=run, by=people.lea)
    item = suite.items.first()
    Answer.objects.create(run=run, item=item, text=item.expected, exact=True, format_ok=True)
    recording_close(run=run, by=people.lea)
    run.refresh_from_db()
    assert (run.answered, run.failed) == (1, 59)
    with pytest.raises(ConflictError):
        recording_close(run=run, by=people.lea)


def test_items_that_it_was_trained_on_are_recorded_only_knowingly(world, old, people):
    suite = suite_from_version(project=world.project, version=world.version, split="train", by=people.lea)
    with pytest.raises(LeakageError, match="40 of the 40"):
        start(world, old, suite=suite)
    assert not Run.objects.exists()
    run = start(world, old, suite=suite, knows_trained_on=True)
    work()
    run.refresh_from_db()
    other = ModelVersion.objects.get(pk=world.tuned.pk)
    TrainingJob.objects.filter(model_version=other).delete()  # this one is trained on something else
    comparison = comparison_from_wish(
        project=world.project,
        wish=Wish(model_version=other, suite=suite, recorded=run, zero_shot=False),
        by=people.lea,
    )
    assert comparison.contenders.get().label == "the model it replaces (trained on 40 items)"


def test_answers_to_other_items_are_refused(world, old, people):
    run = start(world, old)
    work()
    run.refresh_from_db()
    other = suite_from_version(project=world.project, version=world.version, split="train", by=people.lea)
    wish = Wish(model_version=world.tuned, suite=other, recorded=run)
    with pytest.raises(ComparisonError, match="other items"):
        comparison_from_wish(project=world.project, wish=wish, by=people.lea)


def test_general_skills_are_no_items_of_the_task(world, old):
    with pytest.raises(ComparisonError):
        start(world, old, suite=world.general_suite(6))


def test_a_connection_is_in_use_while_answers_are_recorded_over_it(world, old):
    connection = old.base_model.connection
    start(world, old)
    assert uses_of(connection) == ["the recording of “Old tickets”"]
    work()
    assert uses_of(connection) == []


# --- Pages -------------------------------------------------------------------------------------------------------


def test_the_page_records_and_leads_to_the_comparison(world, old, people, client_of):
    client = client_of(people.lea)
    page = f"/w/support-team/p/{world.project.slug}/evaluate/recordings/"
    filled = client.get(page, {"model": old.pk, "items": f"version:{world.version.pk}"}).content.decode()
    assert f'value="version:{world.version.pk}" selected' in filled
    answer = client.post(page, {"model_version": old.pk, "suite": f"version:{world.version.pk}"})
    assert answer.status_code == 302
    work()
    shown = client.get(page).content.decode()
    run = Run.objects.get()
    assert "60" in shown
    create = client.get(f"/w/support-team/p/{world.project.slug}/evaluate/new/", {"recorded": run.pk})
    assert f'value="{run.pk}" selected' in create.content.decode()


def test_the_page_asks_before_it_records_what_was_trained_on(world, old, people, client_of):
    suite = suite_from_version(project=world.project, version=world.version, split="train", by=people.lea)
    client = client_of(people.lea)
    page = f"/w/support-team/p/{world.project.slug}/evaluate/recordings/"
    given = {"model_version": old.pk, "suite": f"suite:{suite.pk}"}
    refused = client.post(page, given)
    assert refused.status_code == 422
    assert "trained on 40 of the 40" in refused.content.decode()
    assert client.post(page, given | {"knows_trained_on": "on"}).status_code == 302


def test_the_form_refuses_answers_to_other_items_and_of_the_same_model(world, old, people, client_of):
    run = start(world, old)
    work()
    suite = suite_from_version(project=world.project, version=world.version, split="train", by=people.lea)
    client = client_of(people.lea)
    page = f"/w/support-team/p/{world.project.slug}/evaluate/new/"
    given = {
        "model_version": world.tuned.pk, "suite": f"suite:{suite.pk}", "recorded": run.pk, "few_shot": 0,
        "smallest_gain": 2, "general_margin": 3, "general_suite": "",
    }  # fmt: skip
    assert "recorded on" in client.post(page, given).content.decode()
    same = given | {"model_version": old.pk, "suite": f"suite:{run.suite_id}"}
    assert "same model" in client.post(page, same).content.decode()
    assert not Comparison.objects.exists()
