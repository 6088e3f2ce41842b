"""What of the evaluations runs over a connection, so that it is not taken away from under it."""

from django.db.models import Q

from apps.evaluations.models import Comparison, Run
from apps.evaluations.selectors.recordings import RECORD_KIND
from apps.operations.models import Operation
from apps.providers.models import Connection

NAMED = 20


def comparisons_over(connection: Connection) -> list[str]:
    """Comparisons that have not ended and ask a model of the connection, oldest first, in words for a page."""
    comparisons = (
        Comparison.objects.filter(state__in=Comparison.ACTIVE)
        .filter(
            Q(candidate__base_model__connection=connection)
            | Q(contenders__variant__base_model__connection=connection)
        )
        .distinct()
        .order_by("pk")
    )
    return [f"the comparison “{name}”" for name in comparisons.values_list("name", flat=True)[:NAMED]]


def recordings_over(connection: Connection) -> list[str]:
    """Recordings of answers that are under way, oldest first."""
    running = Operation.objects.filter(kind=RECORD_KIND, state__in=Operation.ACTIVE).values("subject_id")
    runs = Run.objects.filter(pk__in=running, variant__base_model__connection=connection)
    names = runs.order_by("pk").values_list("variant__name", flat=True)
    return [f"the recording of “{name}”" for name in names[:NAMED]]
