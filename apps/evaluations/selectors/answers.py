"""Reading answers: whole runs for the statistics."""

from django.db.models import FilteredRelation, Q

from apps.evaluations.models import Run
from apps.evaluations.run_metrics import ScoredAnswer


def scored_answers(run: Run) -> list[ScoredAnswer]:
    """One entry an item, in the order of the suite; an item without an answer is there, unscored."""
    rows = (
        run.suite.items.annotate(given=FilteredRelation("answers", condition=Q(answers__run=run)))
        .order_by("position")
        .values_list(
            "expected",
            "expected_fields",
            "group",
            "skill",
            "given__exact",
            "given__fields",
            "given__format_ok",
            "given__seconds",
            "given__compute_seconds",
            "given__prompt_tokens",
            "given__completion_tokens",
        )
    )
    return [
        ScoredAnswer(
            expected=row[0],
            expected_fields=row[1],
            group=row[2],
            skill=row[3],
            exact=row[4],
            fields=row[5],
            format_ok=row[6],
            seconds=row[7],
            compute_seconds=row[8],
            prompt_tokens=row[9],
            completion_tokens=row[10],
        )
        for row in rows
    ]
