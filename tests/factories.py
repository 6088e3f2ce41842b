"""One of everything, for tests that only need a thing to exist."""

from typing import Any

from django.utils import timezone

from apps.accounts.models import Membership
from apps.accounts.services import api_key_create, invitation_create
from apps.artifacts.storage import blob_store
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
    row_add,
    upload_begin,
    version_freeze_request,
)
from apps.gateway.services.served_models import model_alias_set
from apps.operations.models import Operation, OperationState
from apps.operations.selectors import latest_operation_for
from apps.operations.services import operation_run
from apps.projects.models import Project
from tests.evaluations.worlds import build_world, decide_with


def things(*, project: Project, people: Any) -> dict[str, Any]:
    """Primary keys (and tokens) of one of everything in the project's workspace, by name. Needs real commits."""
    workspace = project.workspace
    invitation, token = invitation_create(workspace=workspace, email="", role="viewer", by=people.ann)
    key, _ = api_key_create(workspace=workspace, user=people.ann, name="test")
    operation = Operation.objects.create(
        workspace=workspace,
        kind="jobs.train",
        title="Nothing",
        subject_type="projects.project",
        subject_id=project.pk,
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
    deleted = dataset_create(project=project, name="Old tickets", actor=people.rob)
    dataset_delete(dataset=deleted, actor=people.rob)
    row_add(
        dataset=dataset,
        raw=b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}',
        actor=people.rob,
    )
    return {
        "finding": finding.pk,
        "membership": Membership.objects.get(workspace=workspace, user=people.vic).pk,
        "invitation": invitation.pk,
        "token": token,
        "api_key": key.pk,
        "operation": operation.pk,
        "alias": model_alias_set(
            workspace=workspace, name="gpt-4o-mini", base_model=world.tuned.base_model, by=people.lea
        ).pk,
        "import": imported.pk,
        "upload": upload_begin(
            project=project, file_name="a.jsonl", size=5, modified="", actor=people.rob
        ).pk,
        "dataset": dataset.pk,
        "deleted_dataset": deleted.pk,
        "change": Change.objects.filter(dataset=dataset).values_list("pk", flat=True).first(),
        "example": Example.objects.filter(dataset=dataset).values_list("pk", flat=True).first(),
        "version": version.pk,
        "split": "train",
        "kind": "csv",
        "job": world.tuned.training_job.pk,
        "model": world.tuned.pk,
        "variant": comparison.candidate_id,
        "suite": comparison.suite_id,
        "comparison": comparison.pk,
        "item_pk": comparison.suite.items.values_list("pk", flat=True).first(),
    }
