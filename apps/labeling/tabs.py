"""The parts of a session's pages."""

from typing import Any

from django.urls import reverse

from apps.accounts.permissions import Permission
from apps.labeling.models import Session
from apps.labeling.selectors.resolving import StageCounts, stage_counts
from apps.projects.access import ProjectRequest


def session_tabs(
    request: ProjectRequest, session: Session, current: str, counts: StageCounts | None = None
) -> list[dict[str, Any]]:
    """For the tag `tabs`: what a session has to show, with what waits in it."""
    counts = counts or stage_counts(session)
    slugs = [request.workspace.slug, request.project.slug, session.pk]

    def tab(key: str, label: str, count: int | None = None) -> dict[str, Any]:
        return {
            "url": reverse(f"labeling:{key}", args=slugs),
            "label": label,
            "count": count,
            "current": key == current,
        }

    tabs = [tab("session", "Session"), tab("agreement", "Agreement")]
    if session.reviews_every_label:
        tabs.append(tab("review", "Review", counts.review))
    tabs.append(tab("adjudication", "Adjudication", counts.adjudication))
    if request.membership.allows(Permission.EDIT_DATA):
        tabs.append(tab("outcome", "Outcome", counts.resolved))
    return tabs
