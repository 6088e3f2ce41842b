"""Celery's side of operations: one id in."""

from celery import shared_task

from apps.core.request_context import acting_from
from apps.operations.services import operation_run, operations_reconcile


@shared_task(name="apps.operations.tasks.run")
def run(operation_id: int) -> None:
    with acting_from("worker"):
        operation_run(operation_id=operation_id)


@shared_task(name="apps.operations.tasks.reconcile")
def reconcile() -> None:
    operations_reconcile()
