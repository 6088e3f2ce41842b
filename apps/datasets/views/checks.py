"""Reports of the checks, one finding with its rows, and what is decided about it."""

from dataclasses import dataclass
from typing import Any

import msgspec
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.access import require
from apps.accounts.permissions import Permission
from apps.core.http import render_partial
from apps.datasets.checks.personal.detection import hits_in
from apps.datasets.checks.personal.hits import KINDS
from apps.datasets.checks.results import ACCEPT, REFUSE
from apps.datasets.checks.size import meter_of
from apps.datasets.checks.texts import parts_of, strings_in
from apps.datasets.models import (
    CheckReport,
    CheckState,
    Dataset,
    Decision,
    Finding,
    FindingRow,
    Severity,
    Version,
)
from apps.datasets.selectors import datasets_of, versions_of
from apps.datasets.selectors_checks import (
    decisions_by_key,
    finding_rows_page,
    findings_of,
    is_current,
    latest_report,
    reports_of,
)
from apps.datasets.services import checks_request, finding_decide_request
from apps.datasets.services.checks import ACTIONS
from apps.datasets.views.datasets import data_crumbs, dataset_tabs
from apps.datasets.views.versions import version_tabs
from apps.operations.selectors import latest_operation_for
from apps.projects.access import ProjectRequest, project_view

EXCERPT = 300
CONTEXT = 40
HITS_SHOWN = 5


@project_view(Permission.VIEW, methods=("GET", "POST"))
def checks(request: ProjectRequest, pk: int) -> HttpResponse:
    """The newest report of what stands in a dataset; posting runs the checks."""
    dataset = get_object_or_404(datasets_of(request.project), pk=pk)
    dataset.project = request.project
    return _report_page(request, dataset, None)


@project_view(Permission.VIEW, methods=("GET", "POST"))
def version_checks(request: ProjectRequest, pk: int) -> HttpResponse:
    """The newest report of a version; posting runs the checks."""
    version = get_object_or_404(versions_of(request.project), pk=pk)
    return _report_page(request, version.dataset, version)


def _report_page(request: ProjectRequest, dataset: Dataset, version: Version | None) -> HttpResponse:
    if request.method == "POST":
        require(request.membership, Permission.EDIT_DATA)
        return redirect(checks_request(dataset=dataset, version=version, actor=request.user))
    report = latest_report(dataset, version)
    operation = latest_operation_for(report) if report else None
    is_working = operation is not None and operation.is_active
    crumbs: list[tuple[str, str]] = [(dataset.name, dataset.get_absolute_url())]
    if version:
        crumbs.append((f"Version {version.number}", version.get_absolute_url()))
    context: dict[str, Any] = {
        "dataset": dataset,
        "version": version,
        "report": report,
        "operation": operation,
        "is_working": is_working,
        "tabs": version_tabs(version, "checks") if version else dataset_tabs(dataset, "checks"),
        "breadcrumbs": data_crumbs(request, *crumbs, ("Checks", "")),
    }
    if report is not None and report.state == CheckState.DONE:
        findings = findings_of(report)
        deciding = next((finding for finding in findings if finding.deciding), None)
        if deciding is not None:
            context["operation"] = operation = latest_operation_for(deciding)
            context["is_working"] = operation is not None and operation.is_active
        context |= {
            "findings": [_shown(finding, report) for finding in findings],
            "is_current": is_current(report),
            "meter": meter_of(version.train_count if version else report.row_count),
            "title": _title(report),
        }
    return render_partial(
        request, "datasets/checks.html", context, partials=["report"], refresh=not context["is_working"]
    )


@dataclass(frozen=True)
class ShownFinding:
    finding: Finding
    actions: list[tuple[str, str]]
    """Clean-ups: name and button. Accepting stands apart, as it needs a reason."""
    may_accept: bool


def _shown(finding: Finding, report: CheckReport) -> ShownFinding:
    finding.report = report
    is_open = bool(finding.open_count) and not finding.deciding
    cleaning = [name for name in finding.actions if name != ACCEPT] if report.version_id is None else []
    return ShownFinding(
        finding,
        [(name, ACTIONS[name][0]) for name in cleaning] if is_open else [],
        is_open and ACCEPT in finding.actions and not _is_mere_fact(finding),
    )


def _is_mere_fact(finding: Finding) -> bool:
    """Something to know, about no row in particular: nobody has to decide it."""
    return finding.severity == Severity.INFO and not finding.row_count


def _title(report: CheckReport) -> str:
    if not (report.problem_count or report.attention_count):
        return "Nothing is left to decide"
    return report.badge[:1].upper() + report.badge[1:]


@project_view(Permission.VIEW, methods=("GET", "POST"))
def finding(request: ProjectRequest, pk: int) -> HttpResponse:
    """One finding with its rows; posting decides about the items that were chosen, or about all that are open."""
    found = get_object_or_404(
        Finding.objects.filter(report__in=reports_of(request.project)).select_related(
            "report__dataset__project__workspace", "report__version"
        ),
        pk=pk,
    )
    if request.method == "POST":
        require(request.membership, Permission.EDIT_DATA)
        return _decide(request, found)
    dataset, report = found.report.dataset, found.report
    page = finding_rows_page(found, request.GET)
    decisions = decisions_by_key(dataset, (row.key for row in page.rows))
    shown = _shown(found, report)
    context = {
        "finding": found,
        "shown": shown,
        "deciding_action": ACTIONS[found.deciding["action"]][0] if found.deciding else "",
        "dataset": dataset,
        "report": report,
        "page": page,
        "rows": _rows(found, page.rows, decisions),
        "may_choose": bool(shown.actions or shown.may_accept) and found.item_count > 1,
        "only_open": request.GET.get("show") == "open",
        "breadcrumbs": data_crumbs(
            request,
            (dataset.name, dataset.get_absolute_url()),
            ("Checks", report.get_absolute_url()),
            (found.title[:60], ""),
        ),
    }
    return render(request, "datasets/finding.html", context)


def _decide(request: ProjectRequest, found: Finding) -> HttpResponse:
    action = request.POST.get("action", "")
    chosen = [int(text) for text in request.POST.getlist("items") if text.isascii() and text.isdigit()][:5000]
    changed = finding_decide_request(
        finding=found,
        action=action,
        reason=request.POST.get("reason", ""),
        items=chosen or None,
        actor=request.user,
    )
    if changed is None:
        messages.success(request, "These are many rows, so a worker does it. Here you see how far it is.")
        return redirect(found.report)
    messages.success(request, ACTIONS[action][1](changed))
    return redirect(found if chosen else found.report)


def _rows(found: Finding, rows: list[FindingRow], decisions: dict[str, Decision]) -> list[dict[str, Any]]:
    """What the table shows of each row; an item's number stands at its first row on the page."""
    shown: list[dict[str, Any]] = []
    previous = 0
    for row in rows:
        payload = msgspec.json.decode(row.example.chat_line) if row.example else {}
        parts = parts_of(payload)
        decision = decisions.get(row.key)
        if decision is not None and not row.decided and decision.action != REFUSE:
            decision = None  # of an earlier form of the row
        done = row.decided or (REFUSE if decision else "")
        hits = _hits(payload, found.code) if found.code in KINDS else []
        if decision is not None and decision.rule:
            done = decision.rule
        shown.append(
            {
                "row": row,
                "is_first": row.item != previous,
                "asked": parts.asked[:EXCERPT],
                "answered": parts.answer[:EXCERPT],
                "hits": hits[:HITS_SHOWN],
                "more_hits": max(0, len(hits) - HITS_SHOWN),
                "is_gone": row.example is not None and row.example.removed_at is not None,
                "decision": decision,
                "action": ACTIONS[done][0] if done in ACTIONS else "",
            }
        )
        previous = row.item
    return shown


def _hits(payload: Any, kind: str) -> list[dict[str, str]]:
    """All hits of a kind with what stands around them: people must see it to confirm it."""
    found: list[dict[str, str]] = []
    for text in strings_in(payload):
        for hit in hits_in(text):
            if hit.kind == kind:
                found.append(
                    {
                        "before": text[max(0, hit.start - CONTEXT) : hit.start],
                        "value": text[hit.start : hit.end][:120],
                        "after": text[hit.end : hit.end + CONTEXT],
                        "rule": hit.rule,
                    }
                )
    return found
