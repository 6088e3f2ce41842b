"""What of the evaluations runs over a connection, so that it is not taken away from under it."""

from django.db.models import Q

from apps.evaluations.models import Comparison
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
