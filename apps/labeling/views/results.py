"""Agreement of a session: the report, the items behind a figure, and the gate of a pilot."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from apps.accounts.models import User
from apps.accounts.permissions import Permission
from apps.core.http import render_partial
from apps.core.pagination import keyset_page
from apps.labeling.figures import (
    confused_pairs,
    confusion_cells,
    label_mix,
    shown_coefficient,
    shown_figure,
    verdict_of,
)
from apps.labeling.forms_results import OverruleForm
from apps.labeling.item_content import content_of
from apps.labeling.models import GuidelineVersion, ItemStage, Session
from apps.labeling.selectors.agreement import ItemQuery, QuestionReport, agreement_of, items_matching
from apps.labeling.services.piloting import pilot_decide, pilot_overrule
from apps.labeling.tabs import session_tabs
from apps.labeling.views.sessions import get_session, label_crumbs
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.REVIEW)
def agreement(request: ProjectRequest, pk: int) -> HttpResponse:
    """The figures of every question: first the verdict, then the coefficients, then what is confused with what."""
    session = get_session(request, pk)
    found = agreement_of(session)
    reports = found.questions
    title, tone = verdict_of(reports, session.gate_minimum)
    raters = {pair.first for one in reports for pair in one.agreement.pairs}
    raters |= {pair.second for one in reports for pair in one.agreement.pairs}
    names = {user.pk: str(user) for user in User.objects.filter(pk__in=raters)}
    versions = GuidelineVersion.objects.filter(guideline=session.guideline_id).select_related("guideline")
    context = {
        "session": session,
        "as_of": found.at,
        "verdict_title": title,
        "verdict_tone": tone,
        "reports": [
            _shown(one, names, {version.pk: str(version) for version in versions}) for one in reports
        ],
        "overrule": OverruleForm(),
        "items_url": reverse(
            "labeling:agreement_items", args=[request.workspace.slug, request.project.slug, session.pk]
        ),
        "tabs": session_tabs(request, session, "agreement"),
        "breadcrumbs": label_crumbs(request, (session.name, session.get_absolute_url()), ("Agreement", "")),
    }
    return render(request, "labeling/agreement.html", context)


def _shown(report: QuestionReport, names: dict[int, str], versions: dict[int, str]) -> dict[str, object]:
    columns, lines = confusion_cells(report)
    return {
        "report": report,
        "question": report.question,
        "agreement": report.agreement,
        "figures": [shown_figure(one) for one in report.agreement.figures],
        "labels": [(label, shown_coefficient(label.alpha)) for label in label_mix(report.agreement)],
        "pairs": [
            (names.get(pair.first, "?"), names.get(pair.second, "?"), pair, shown_coefficient(pair.kappa))
            for pair in report.agreement.pairs
        ],
        "columns": columns,
        "lines": lines,
        "confused": confused_pairs(report),
        "by_version": [
            (versions.get(version, "?"), shown_figure(headline), raw.value)
            for version, headline, raw in report.agreement.by_version
        ],
    }


@project_view(Permission.REVIEW)
def agreement_items(request: ProjectRequest, pk: int) -> HttpResponse:
    """The items behind a cell of the matrix, or all on which people disagree."""
    session = get_session(request, pk)
    query = ItemQuery.of(request.GET)
    page = keyset_page(items_matching(session, request.user, query), request.GET, key="position")
    context = {
        "session": session,
        "query": query,
        "page": page,
        "rows": [(item, content_of(item.example.payload)) for item in page.rows],
        "stages": ItemStage.choices,
        "tabs": session_tabs(request, session, "agreement"),
        "breadcrumbs": label_crumbs(
            request, (session.name, session.get_absolute_url()), ("Agreement", ".."), ("Items", "")
        ),
    }
    return render_partial(request, "labeling/agreement_items.html", context, partials=("items",))


@project_view(Permission.MANAGE_LABELING, methods=("POST",))
def decide_gate(request: ProjectRequest, pk: int) -> HttpResponse:
    session = get_session(request, pk)
    pilot_decide(session=session, by=request.user)
    return _back(request, session)


@project_view(Permission.MANAGE_LABELING, methods=("POST",))
def overrule_gate(request: ProjectRequest, pk: int) -> HttpResponse:
    session = get_session(request, pk)
    form = OverruleForm(request.POST)
    if form.is_valid():
        pilot_overrule(
            session=session,
            by=request.user,
            opens=form.cleaned_data["opens"] == "1",
            reason=form.cleaned_data["reason"],
        )
    else:
        messages.error(request, "Say why the gate is decided by hand. Nothing was changed.")
    return _back(request, session)


def _back(request: ProjectRequest, session: Session) -> HttpResponse:
    return redirect("labeling:agreement", request.workspace.slug, request.project.slug, session.pk)
