"""Anything of a workspace by its name: what the search in the top bar finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from apps.accounts.models import Membership
from apps.accounts.permissions import Permission
from apps.datasets.models import Dataset, Version, VersionState
from apps.evaluations.models import Comparison, Suite
from apps.jobs.models import TrainingJob
from apps.labeling.access import takes_part
from apps.labeling.models import Guideline, Session
from apps.projects.models import Project
from apps.projects.selectors import projects_of
from apps.registry.models import ModelVersion

MOST_OF_A_KIND = 6
MOST_WORDS = 8
MOST_DIGITS = 9  # of a version's number; Postgres keeps it in four bytes
MOST_CHARACTERS = 100  # of what was typed; the longest name has 160


@dataclass(frozen=True, kw_only=True)
class Hit:
    name: str
    project: str
    """Where it is; empty for a project itself."""
    url: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """What was found of one kind, newest first; `has_more`: older ones fit, too, and are not shown."""

    label: str
    icon: str
    hits: list[Hit]
    has_more: bool


@dataclass(frozen=True, kw_only=True)
class Kind:
    label: str
    icon: str
    things: QuerySet[Any]
    says: Callable[[str], Q]
    """Whether a thing's name has this word."""
    url: Callable[[Any], str] = lambda thing: thing.get_absolute_url()


def groups_found(membership: Membership, typed: str) -> list[Group]:
    """Everything in the workspace that this member may open and whose name has all the words, by kind."""
    words = typed.replace("\x00", "")[:MOST_CHARACTERS].split()[:MOST_WORDS]
    return [group for kind in _kinds(membership) if (group := _group(kind, words))] if words else []


def _group(kind: Kind, words: list[str]) -> Group | None:
    named = Q()
    for word in words:
        named &= kind.says(word)
    found = list(kind.things.filter(named).order_by("-pk")[: MOST_OF_A_KIND + 1])
    if not found:
        return None
    hits = [Hit(name=str(each), project=_where(each), url=kind.url(each)) for each in found]
    has_more = len(hits) > MOST_OF_A_KIND
    return Group(label=kind.label, icon=kind.icon, hits=hits[:MOST_OF_A_KIND], has_more=has_more)


def _kinds(membership: Membership) -> Iterator[Kind]:
    """In the order of the work."""
    projects = projects_of(membership.workspace).select_related("workspace")

    def inside(things: QuerySet[Any]) -> QuerySet[Any]:
        return things.filter(project__in=projects).select_related("project__workspace")

    yield Kind(label="Projects", icon="layout-grid", things=projects, says=_named)
    yield Kind(label="Datasets", icon="database", things=inside(Dataset.objects.all()), says=_named)
    versions = Version.objects.filter(
        dataset__project__in=projects, dataset__deleted_at=None, state=VersionState.FROZEN
    )
    yield Kind(
        label="Versions",
        icon="snowflake",
        things=versions.select_related("dataset__project__workspace"),
        says=_version_named,
    )
    yield _sessions(membership, inside(Session.objects.all()))
    yield Kind(label="Guidelines", icon="book", things=inside(Guideline.objects.all()), says=_named)
    yield Kind(
        label="Training jobs", icon="player-play", things=inside(TrainingJob.objects.all()), says=_named
    )
    yield Kind(label="Models", icon="box", things=inside(ModelVersion.objects.all()), says=_named)
    yield Kind(label="Comparisons", icon="scale", things=inside(Comparison.objects.all()), says=_named)
    yield Kind(label="Suites", icon="books", things=inside(Suite.objects.all()), says=_named)


def _sessions(membership: Membership, sessions: QuerySet[Any]) -> Kind:
    """A reviewer finds every session; a labeler those that hand them items, where they label; a viewer none."""
    every = Kind(label="Labeling sessions", icon="tag", things=sessions, says=_named)
    if membership.allows(Permission.REVIEW):
        return every
    if not membership.allows(Permission.LABEL):
        return replace(every, things=sessions.none())
    mine = Session.objects.filter(takes_part(membership.user_id)).values("pk")
    return replace(every, things=sessions.filter(pk__in=mine), url=_work_url)


def _named(word: str) -> Q:
    return Q(name__icontains=word)


def _version_named(word: str) -> Q:
    """By the dataset's name, "v3", or the beginning of the manifest hash."""
    named = Q(dataset__name__icontains=word) | Q(manifest_hash__istartswith=word)
    number = word.lower().removeprefix("v")
    is_number = number.isascii() and number.isdigit() and len(number) <= MOST_DIGITS
    return named | Q(number=int(number)) if is_number else named


def _where(thing: Any) -> str:
    if isinstance(thing, Project):
        return ""
    project = thing.dataset.project if isinstance(thing, Version) else thing.project
    return project.name


def _work_url(session: Session) -> str:
    project = session.project
    return reverse("labeling:work", args=[project.workspace.slug, project.slug, session.pk])
