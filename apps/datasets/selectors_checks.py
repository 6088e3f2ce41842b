"""Reads about reports of the checks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Max, Q, QuerySet

from apps.core.pagination import KeysetPage, keyset_page
from apps.datasets.checks.results import REFUSE, TRUNCATE
from apps.datasets.models import (
    Change,
    ChangeAction,
    CheckReport,
    CheckState,
    Dataset,
    Decision,
    Finding,
    FindingRow,
    Version,
)
from apps.datasets.selectors import head_of
from apps.projects.models import Project

PAGE = 50
TOGETHER = ("normalised", "near", "near_contradiction", "contradiction")
"""Kinds of findings whose rows ask the same or nearly the same."""
LENGTH_CODES = ("too_long", "answer_lost")


def head_mark(dataset: Dataset) -> str:
    """A mark of which rows stand in the dataset now: it changes with every row that is added, edited or removed."""
    newest = head_of(dataset).aggregate(newest=Max("pk"))["newest"]
    changes = Change.objects.filter(dataset=dataset).exclude(
        action__in=(ChangeAction.TAG, ChangeAction.UNTAG)
    )
    changed = changes.aggregate(last=Max("updated_at"))[
        "last"
    ]  # what is brought back is neither new nor more
    count = Dataset.objects.filter(pk=dataset.pk).values_list("example_count", flat=True).get()
    return f"{count}:{newest or 0}:{changed.timestamp() if changed else 0}"


def reports_of(project: Project) -> QuerySet[CheckReport]:
    """Reports of every state, on datasets that are not in the trash."""
    return CheckReport.objects.filter(dataset__project=project, dataset__deleted_at=None).select_related(
        "dataset__project__workspace", "version", "created_by"
    )


def latest_report(dataset: Dataset, version: Version | None = None) -> CheckReport | None:
    """The newest report of a dataset's head or of a version, in whatever state."""
    reports = CheckReport.objects.filter(dataset=dataset, version=version)
    return reports.select_related("dataset__project__workspace", "version").order_by("-pk").first()


def latest_done_report(dataset: Dataset, version: Version | None = None) -> CheckReport | None:
    """The newest finished report of a dataset's head or of a version."""
    reports = CheckReport.objects.filter(dataset=dataset, version=version, state=CheckState.DONE)
    return reports.select_related("dataset__project__workspace", "version").order_by("-pk").first()


def is_current(report: CheckReport) -> bool:
    """Whether the rows are still those that were checked; a version's never change."""
    return report.version_id is not None or report.head_mark == head_mark(report.dataset)


def findings_of(report: CheckReport) -> list[Finding]:
    """Problems first, what is decided last."""
    order = {"problem": 0, "attention": 1, "info": 2}
    found = Finding.objects.filter(report=report)
    return sorted(found, key=lambda each: (not each.open_count, order[each.severity], each.pk))


def finding_names(dataset: Dataset, version: Version | None = None) -> list[tuple[str, str]]:
    """Code and title of what the newest report found in rows, to filter by."""
    report = latest_done_report(dataset, version)
    return [(each.code, each.title) for each in findings_of(report) if each.row_count] if report else []


def finding_rows_page(finding: Finding, parameters: Mapping[str, Any]) -> KeysetPage[FindingRow]:
    """Rows of one finding; `show=open` of the parameters leaves out those that are decided."""
    rows = FindingRow.objects.filter(finding=finding).select_related("example")
    if parameters.get("show") == "open":
        rows = rows.filter(decided="")
    return keyset_page(rows.defer("example__text", "example__words"), parameters, size=PAGE)


def decisions_by_key(dataset: Dataset, keys: Iterable[str]) -> dict[str, Decision]:
    """The newest decision about each item."""
    found = Decision.objects.filter(dataset=dataset, key__in=set(keys)).select_related("actor").order_by("pk")
    return {decision.key: decision for decision in found}


def blocking_findings(dataset: Dataset) -> list[Finding]:
    """Leakage that nobody has decided about, by the newest finished report of what stands in the dataset."""
    report = latest_done_report(dataset)
    if report is None:
        return []
    return list(
        Finding.objects.filter(report=report, blocks=True, open_count__gt=0).select_related(
            "report__dataset__project__workspace"
        )
    )


def refused_row_count(dataset: Dataset) -> int:
    """Rows that stand in the dataset, are longer than the model reads, and must not be frozen as they are."""
    return len(_standing_with(dataset, Q(action=REFUSE)))


def length_rule(dataset: Dataset) -> str:
    """What training does to rows that are too long, by what was decided about those that stand in the dataset."""
    return TRUNCATE if _standing_with(dataset, Q(rule=TRUNCATE)) else ""


def _standing_with(dataset: Dataset, decided: Q) -> set[int]:
    """Rows of the newest finished report whose newest decision is such a one."""
    report = latest_done_report(dataset)
    newest = (
        Decision.objects.filter(dataset=dataset, code__in=LENGTH_CODES).order_by("key", "-pk").distinct("key")
    )
    keys = list(Decision.objects.filter(decided, pk__in=newest.values("pk")).values_list("key", flat=True))
    if report is None or not keys:
        return set()
    rows = FindingRow.objects.filter(
        finding__report=report, finding__code__in=LENGTH_CODES, key__in=keys, example__removed_at=None
    )
    return set(rows.values_list("example_id", flat=True))


def clusters_for_freezing(dataset: Dataset) -> dict[int, str]:
    """Example -> a name that it shares with rows that ask nearly the same; empty without a current report."""
    report = latest_done_report(dataset)
    if report is None or not is_current(report):
        return {}
    from apps.datasets.checks.union_find import UnionFind

    rows = FindingRow.objects.filter(
        finding__report=report, finding__code__in=TOGETHER, example__isnull=False
    ).values_list("finding_id", "item", "example_id")
    members: dict[tuple[int, int], list[int]] = defaultdict(list)
    for finding, item, example in rows.iterator():
        members[finding, item].append(example)
    joined = UnionFind()
    for examples in members.values():
        for other in examples[1:]:
            joined.join(examples[0], other)
    return {example: f"near-{cluster[0]}" for cluster in joined.clusters() for example in cluster}
