"""Background looks at providers: a slow one blocks nobody."""

from apps.operations.kinds import operation_kind
from apps.operations.models import Operation
from apps.operations.progress import Progress
from apps.providers.models import Connection
from apps.providers.selectors import CHECK_KIND
from apps.providers.services import connection_check


def _nothing_to_undo(operation: Operation) -> None:
    """A look that was not finished changed nothing."""


@operation_kind(CHECK_KIND, queue="default", on_stopped=_nothing_to_undo)
def check(operation: Operation, progress: Progress) -> None:
    connection = (
        Connection.objects.select_related("workspace")
        .filter(pk=operation.subject_id, removed_at=None)
        .first()
    )
    if connection is not None:
        progress.report(message="Asking the provider", force=True)
        connection_check(connection=connection, by=operation.actor)
