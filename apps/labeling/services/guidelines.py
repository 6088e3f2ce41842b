"""Guidelines: written once, then only continued by new versions."""

from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.labeling.models import (
    Guideline,
    GuidelineChange,
    GuidelineVersion,
    Session,
    SessionState,
    Submission,
    SubmissionState,
)
from apps.projects.models import Project

MOST_CHARACTERS = 100_000


class StaleGuidelineError(ConflictError):
    """Somebody else saved a version in the meantime; `newest` is theirs."""

    code = "stale_guideline"

    def __init__(self, newest: GuidelineVersion) -> None:
        author = newest.created_by.get_full_name() if newest.created_by else "Somebody"
        super().__init__(
            f"{author} saved version {newest.number} while you were writing. Nothing of yours was lost: it stands"
            " below, beside theirs. Bring the two together and save again."
        )
        self.newest = newest


@dataclass(frozen=True)
class GuidelineText:
    text: str
    examples: list[dict[str, Any]] = field(default_factory=list)
    """[{text, answer, why, good}]"""
    note: str = ""


def guideline_create(*, project: Project, name: str, content: GuidelineText, actor: User) -> Guideline:
    """With its first version. Raises `ConflictError` where the project has a guideline of the name."""
    _check(content)
    try:
        with transaction.atomic():
            guideline = Guideline.objects.create(project=project, name=name, created_by=actor)
            GuidelineVersion.objects.create(
                guideline=guideline,
                number=1,
                change=GuidelineChange.FIRST,
                meaning=1,
                text=content.text,
                examples=content.examples,
                note=content.note,
                created_by=actor,
            )
            record(workspace=project.workspace, actor=actor, action="guideline.created", target=guideline)
    except IntegrityError as error:
        raise ConflictError(
            f"This project has a guideline called “{name}” already. Choose another name."
        ) from error
    return guideline


def guideline_save(
    *, guideline: Guideline, based_on: int, change: str, content: GuidelineText, actor: User
) -> GuidelineVersion:
    """Add a version that continues version `based_on`. Raises `StaleGuidelineError` if that is not the newest.

    Open sessions go on under the new version. A change of meaning marks their older labels for another look.
    """
    _check(content)
    if change not in (GuidelineChange.STRUCTURE, GuidelineChange.WORDING, GuidelineChange.MEANING):
        raise PortalError("Say what kind of change this is: structure, wording or meaning.")
    with transaction.atomic():
        Guideline.objects.select_for_update().get(pk=guideline.pk)
        newest = guideline.versions.select_related("created_by").order_by("-number")[:1].get()
        if newest.number != based_on:
            raise StaleGuidelineError(newest)
        if (newest.text, newest.examples) == (content.text, content.examples):
            raise PortalError("Nothing was changed, so there is nothing to save.")
        version = GuidelineVersion.objects.create(
            guideline=guideline,
            number=newest.number + 1,
            change=change,
            meaning=newest.meaning + (change == GuidelineChange.MEANING),
            text=content.text,
            examples=content.examples,
            note=content.note,
            created_by=actor,
        )
        marked = _sessions_follow(version)
        record(
            workspace=guideline.project.workspace,
            actor=actor,
            action="guideline.changed",
            target=guideline,
            before={"version": newest.number},
            after={"version": version.number, "change": change},
            data={"labels_to_look_at_again": marked},
        )
    return version


def _sessions_follow(version: GuidelineVersion) -> int:
    """How many labels of sessions that are not closed deserve another look."""
    sessions = Session.objects.filter(guideline=version.guideline).exclude(state=SessionState.CLOSED)
    sessions.update(guideline_version=version, updated_at=timezone.now())
    if version.change != GuidelineChange.MEANING:
        return 0
    return Submission.objects.filter(session__in=sessions, state=SubmissionState.COUNTS).update(
        look_again=True
    )


def _check(content: GuidelineText) -> None:
    if not content.text.strip():
        raise PortalError("A guideline needs a text.")
    if len(content.text) > MOST_CHARACTERS:
        raise PortalError(f"A guideline has at most {MOST_CHARACTERS:,} characters.")
    if "\x00" in content.text + content.note:
        raise PortalError("The text holds a NUL character, which cannot be stored. Remove it.")
