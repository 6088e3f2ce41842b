"""The evaluate stage and the page of one comparison."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.permissions import Permission
from apps.core.http import render_partial
from apps.core.pagination import keyset_page
from apps.evaluations.models import Comparison
from apps.evaluations.pages import (
    columns_of,
    confusion_figure,
    contender_rows,
    flip_choices,
    forest,
    label_fields,
    labels_of,
    verdict_title,
)
from apps.evaluations.selectors.comparisons import (
    Contender,
    Contenders,
    comparisons_of,
    contenders_of,
    suites_of,
    verdict_of,
)
from apps.evaluations.selectors.items import ItemFilter, flip_counts, item_page
from apps.evaluations.selectors.leakage import training_version_of
from apps.evaluations.services.comparisons import KIND, comparison_resume
from apps.evaluations.verdict import Verdict
from apps.operations.selectors import latest_operation_for
from apps.projects.access import ProjectRequest, project_view
from apps.providers.selectors import price_book
from apps.registry.prompts import messages_for
from apps.registry.selectors import newest_model_of


@project_view(Permission.VIEW)
def index(request: ProjectRequest) -> HttpResponse:
    """Comparisons, newest first, and the suites they stand on."""
    page = keyset_page(comparisons_of(request.project), request.GET, descending=True)
    context = {
        "page": page,
        "suites": suites_of(request.project)[:50],
        "model": newest_model_of(request.project),
    }
    return render(request, "evaluations/index.html", context)


@project_view(Permission.VIEW)
def comparison(request: ProjectRequest, pk: int) -> HttpResponse:
    """The verdict, its evidence, then the items; while it runs, how far it is."""
    found = get_comparison(request, pk)
    contenders = contenders_of(found)
    context: dict[str, Any] = {
        "comparison": found,
        "contenders": contenders,
        "operation": latest_operation_for(found, KIND),
    }
    decided = verdict_of(found)
    if decided is not None:
        context |= _evidence(found, decided, contenders) | _items(request, found, decided, contenders)
    return render_partial(
        request,
        "evaluations/comparison.html",
        context,
        partials=("live", "items", "confusion"),
        refresh=not found.is_active and _asks_for(request, "live"),
    )


@project_view(Permission.EVALUATE, methods=("POST",))
def resume(request: ProjectRequest, pk: int) -> HttpResponse:
    found = get_comparison(request, pk)
    comparison_resume(comparison=found, by=request.user)
    return redirect(found)


@project_view(Permission.VIEW)
def provenance(request: ProjectRequest, pk: int) -> HttpResponse:
    """Everything one needs to repeat it: hashes, prompts as sent, sampling, software."""
    found = get_comparison(request, pk)
    contenders = contenders_of(found)
    first = found.suite.items.first()
    context = {
        "comparison": found,
        "asked": [
            (one, messages_for(one.variant, first.messages) if first else []) for one in contenders.task
        ],
        "training_version": training_version_of(found.candidate),
    }
    return render(request, "evaluations/provenance.html", context)


def get_comparison(request: ProjectRequest, pk: int) -> Comparison:
    """A comparison of the request's project, or Http404."""
    comparisons = Comparison.objects.select_related(
        "suite__version__dataset",
        "general_suite",
        "general_base__base_model",
        "candidate__base_model__connection",
        "candidate__model_version__artifact",
        "created_by",
    )
    found = get_object_or_404(comparisons, project=request.project, pk=pk)
    found.project = request.project
    return found


def _asks_for(request: ProjectRequest, target: str) -> bool:
    return (request.headers.get("HX-Target") or "").rpartition("#")[2] == target


def _evidence(found: Comparison, decided: Verdict, contenders: Contenders) -> dict[str, Any]:
    prices = price_book(found.project.workspace)
    rows = contender_rows(contenders.task, found.details.get("majority"), prices=prices)
    return {
        "verdict": decided,
        "verdict_title": verdict_title(decided),
        "forest": forest(decided),
        "rows": rows,
        "columns": columns_of(rows),
        "general_rows": contender_rows(contenders.general, prices=prices),
        "skills": found.details.get("skills") or [],
    }


def _items(
    request: ProjectRequest, found: Comparison, decided: Verdict, contenders: Contenders
) -> dict[str, Any]:
    """The table of items: which pair, which filter, one page."""
    general = request.GET.get("items") == "general" and bool(contenders.general)
    pair = (
        contenders.general
        if general
        else [_chosen_baseline(request, decided, contenders), contenders.candidate]
    )
    baseline, candidate = pair
    suite = found.general_suite if general else found.suite
    if suite is None or baseline.run is None or candidate.run is None:
        return {}
    wanted = ItemFilter.from_parameters(request.GET)
    counts = flip_counts(suite, baseline.run, candidate.run)
    fields = [] if general else label_fields(candidate.metrics)
    shown_field = wanted.field if wanted.field in fields else (fields[0] if fields else "")
    return {
        "items": item_page(suite, baseline.run, candidate.run, wanted, request.GET),
        "items_general": general,
        "baseline": baseline,
        "candidate": candidate,
        "filter": wanted,
        "flip_choices": flip_choices(counts, request.GET.dict(), wanted.flip),
        "expected_labels": labels_of(candidate.metrics, shown_field),
        "label_fields": fields,
        "shown_field": shown_field,
        "confusions": [
            (side, contender, confusion_figure(contender.metrics, shown_field))
            for side, contender in (("baseline", baseline), ("candidate", candidate))
        ]
        if shown_field
        else [],
    }


def _chosen_baseline(request: ProjectRequest, decided: Verdict, contenders: Contenders) -> Contender:
    """The one in the URL, else the one that the verdict speaks of."""
    chosen = contenders.of_key(str(request.GET.get("baseline", "")))
    if chosen is not None and not chosen.is_candidate:
        return chosen
    return next((one for one in contenders.baselines if one.label == decided.lead), contenders.baselines[0])
