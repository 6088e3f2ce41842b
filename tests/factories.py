"""One of everything, for tests that only need a thing to exist."""

from decimal import Decimal
from typing import Any

from django.utils import timezone

from apps.accounts.models import Membership
from apps.accounts.services import api_key_create, invitation_create
from apps.artifacts.storage import blob_store
from apps.datasets.mapping import RowMapping
from apps.datasets.models import (
    Change,
    CheckReport,
    CheckState,
    Dataset,
    Example,
    Finding,
    FindingRow,
    Import,
    ImportState,
)
from apps.datasets.services import (
    dataset_create,
    dataset_delete,
    mapping_save,
    row_add,
    upload_begin,
    version_freeze_request,
)
from apps.gateway.services.served_models import model_alias_set
from apps.jobs.models import Archive, RecoveredFiles, RecoveredJob
from apps.labeling.models import Outcome, OutcomeState, Submission
from apps.labeling.services.claiming import seats_claim
from apps.labeling.services.guidelines import GuidelineText, guideline_create
from apps.labeling.services.label_importing import label_import_create
from apps.labeling.services.settling import session_settle
from apps.labeling.services.working import item_flag
from apps.operations.models import Operation, OperationState
from apps.operations.selectors import latest_operation_for
from apps.operations.services import operation_run
from apps.projects.models import Project
from apps.providers.models import Connection
from apps.providers.services import price_set
from tests.evaluations.worlds import build_world, decide_with
from tests.labeling.worlds import label_next, make_session


def things(*, project: Project, people: Any, mark: str = "") -> dict[str, Any]:
    """Primary keys (and tokens) of one of everything in the project's workspace, by name. Needs real commits.

    With another `mark` in the names there can be more than one of everything.
    """
    workspace = project.workspace
    invitation, token = invitation_create(workspace=workspace, email="", role="viewer", by=people.ann)
    key, _ = api_key_create(workspace=workspace, user=people.ann, name=f"test{mark}")
    operation = Operation.objects.create(
        workspace=workspace,
        kind="jobs.train",
        title="Nothing",
        subject_type="accounts.invitation",
        subject_id=invitation.pk,
        queue="training",
        actor=people.ann,
        state=OperationState.RUNNING,
        attempts=1,
        heartbeat_at=timezone.now(),
    )
    world = build_world(project, people.lea)
    comparison = decide_with(world.comparison(world.suite()), {})
    dataset = world.version.dataset
    Dataset.objects.filter(pk=dataset.pk).update(example_count=dataset.examples.count())
    version = version_freeze_request(
        dataset=dataset, seed=1, validation_share=0.1, test_share=0.1, actor=people.rob
    )
    freezing = latest_operation_for(version)
    assert freezing is not None
    operation_run(operation_id=freezing.pk)
    imported = Import.objects.create(
        dataset=dataset,
        state=ImportState.CHECKED,
        file_name="tickets.jsonl",
        blob=blob_store(content=[b"{}\n"]),
        created_by=people.rob,
    )
    report = CheckReport.objects.create(dataset=dataset, state=CheckState.DONE)
    finding = Finding.objects.create(
        report=report,
        check_name="size",
        code="from_0",
        severity="problem",
        title="3 rows",
        actions=["accept"],
        item_count=1,
        open_count=1,
        row_count=0,
    )
    FindingRow.objects.create(finding=finding, item=1, key="k")
    deleted = dataset_create(project=project, name=f"Old tickets{mark}", actor=people.rob)
    dataset_delete(dataset=deleted, actor=people.rob)
    row_add(
        dataset=dataset,
        raw=b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}',
        actor=people.rob,
    )
    return (
        _labeling(project, people, mark)
        | _providers(project, people, mark)
        | {
            "finding": finding.pk,
            "membership": Membership.objects.get(workspace=workspace, user=people.vic).pk,
            "invitation": invitation.pk,
            "token": token,
            "api_key": key.pk,
            "operation": operation.pk,
            "alias": model_alias_set(
                workspace=workspace,
                name=f"gpt-4o-mini{mark}",
                base_model=world.tuned.base_model,
                by=people.lea,
            ).pk,
            "import": imported.pk,
            "upload": upload_begin(
                project=project, file_name="a.jsonl", size=5, modified="", actor=people.rob
            ).pk,
            "mapping": mapping_save(
                project=project, name=f"Tickets{mark}", mapping=RowMapping("chat"), actor=people.rob
            ).pk,
            "dataset": dataset.pk,
            "deleted_dataset": deleted.pk,
            "change": Change.objects.filter(dataset=dataset).values_list("pk", flat=True).first(),
            "example": Example.objects.filter(dataset=dataset).values_list("pk", flat=True).first(),
            "version": version.pk,
            "split": "train",
            "kind": "csv",
            "base_model": world.tuned.base_model_id,
            "trainer": "axolotl",
            "job": world.tuned.training_job.pk,
            "model": world.tuned.pk,
            "variant": comparison.candidate_id,
            "suite": comparison.suite_id,
            "comparison": comparison.pk,
            "recording": comparison.candidate.runs.values_list("pk", flat=True).first(),
            "item_pk": comparison.suite.items.values_list("pk", flat=True).first(),
        }
    )


def _providers(project: Project, people: Any, mark: str) -> dict[str, Any]:
    """A connection whose adapter is not here, as after one was taken out, and a price."""
    workspace = project.workspace
    connection = Connection.objects.create(
        workspace=workspace, provider="gone", name=f"An account{mark}", created_by=people.ann
    )
    price = price_set(
        workspace=workspace,
        provider="openai",
        model=f"gpt-4o-mini{mark}*",
        kind="training",
        amount=Decimal("3.00"),
        currency="USD",
        as_of=timezone.localdate(),
        by=people.lea,
    )
    archive = Archive.objects.create(project=project, connection=connection, created_by=people.lea)
    files = RecoveredFiles.objects.create(
        project=project, connection=connection, training_file="file-1", training_name="tickets.jsonl"
    )
    RecoveredJob.objects.create(
        project=project, connection=connection, handle="ftjob-1", details={}, files=files
    )
    return {"connection": connection.pk, "price": price.pk, "archive": archive.pk}


def _labeling(project: Project, people: Any, mark: str) -> dict[str, Any]:
    """A session that everybody takes part in, another one that is being set up, a guideline."""
    guideline = guideline_create(
        project=project, name=f"Intents{mark}", content=GuidelineText("# Intents"), actor=people.lea
    )
    session = make_session(project, people.lea, rows=3, guideline=guideline, everyone=True)
    draft = make_session(project, people.lea, rows=3, opened=False)
    lease = seats_claim(session=session, user=people.ben, wanted=1)[0]
    flag = item_flag(session=session, user=people.ben, item_id=lease.item_id, reason="Odd")
    judged = make_session(project, people.lea, rows=1, people=[people.ben])
    label_next(judged, people.ben)
    session_settle(session=judged)
    label = Submission.objects.get(session=judged)
    outcome = Outcome.objects.create(session=judged, state=OutcomeState.FAILED, created_by=people.rob)
    lines = b'{"text": "My order is late", "label": ["refund"]}\n'
    imported = label_import_create(session=judged, data=lines, file_name="ben.jsonl", actor=people.lea)
    return {
        "imported_session": judged.pk,
        "import_pk": imported.pk,
        "label": label.pk,
        "judged_item": label.item_id,
        "outcome": outcome.pk,
        "guideline": guideline.pk,
        "number": 1,
        "session": session.pk,
        "draft_session": draft.pk,
        "question": draft.questions.values_list("pk", flat=True).first(),
        "seat": lease.seat_id,
        "item": lease.item_id,
        "flag": flag.pk,
        "user_pk": people.ben.pk,
    }
