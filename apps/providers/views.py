"""A workspace's connections to providers, and what their models cost."""

from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from apps.accounts.access import WorkspaceRequest, workspace_view
from apps.accounts.permissions import Permission
from apps.core.errors import ConflictError, PortalError
from apps.providers.catalogue import connectable, provider_label
from apps.providers.connection_settings import SettingError
from apps.providers.forms import WHAT_LABELS, ConnectionForm, PriceForm, what_of
from apps.providers.models import Connection, Price
from apps.providers.pages import ModelLines, model_lines, shipped_lines
from apps.providers.prices import price_text
from apps.providers.selectors import (
    connection_standing,
    connection_standings,
    connections_of,
    prices_of,
)
from apps.providers.services import (
    connection_change,
    connection_check_start,
    connection_create,
    connection_remove,
    declared_settings,
    price_remove,
    price_set,
)


@workspace_view(Permission.TRAIN)
def connections(request: WorkspaceRequest) -> HttpResponse:
    """Every connection, whether it works, and what it can train and answer."""
    context = {"standings": connection_standings(request.workspace), "tabs": _tabs(request, "connections")}
    return render(request, "providers/connections.html", context)


@workspace_view(Permission.MANAGE_CONNECTIONS, methods=("GET", "POST"))
def create(request: WorkspaceRequest) -> HttpResponse:
    """First the provider (?provider=…), then what it wants to be told."""
    provider = request.GET.get("provider", "")
    offered = connectable()
    listed = next((each for each in offered if each.name == provider), None)
    crumbs = _crumbs(request, "New connection")
    if listed is None:
        context = {"offered": offered, "unknown": provider, "breadcrumbs": crumbs}
        return render(
            request, "providers/choose.html", context, status=422 if request.method == "POST" else 200
        )
    declared = declared_settings(provider)
    form = ConnectionForm(request.POST or None, declared=declared, initial={"name": listed.label})
    if request.method == "POST" and form.is_valid():
        try:
            made = connection_create(
                workspace=request.workspace,
                provider=provider,
                name=form.cleaned_data["name"],
                settings=form.settings,
                secrets=form.secrets,
                by=request.user,
            )
        except SettingError as error:
            form.add_setting_error(error)
        else:
            connection_check_start(connection=made, by=request.user)
            messages.success(request, f"{made.name} is stored. Looking whether it works.")
            return redirect(made)
    shown: dict[str, Any] = {"form": form, "provider": listed, "breadcrumbs": crumbs}
    return _kept_out_of_caches(
        render(request, "providers/create.html", shown, status=422 if form.errors else 200)
    )


@workspace_view(Permission.TRAIN)
def connection(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """One connection: does it work, what does it offer, what of that does the workspace use."""
    found = _connection(request, pk)
    lines = model_lines(
        found, today=_today(), search=request.GET.get("q", "").strip(), only=request.GET.get("show", "")
    )
    context = {
        "connection": found,
        "standing": connection_standing(found),
        "lines": lines,
        "show": _show_links(lines),
        "settings": _shown_settings(found),
        "breadcrumbs": _crumbs(request, found.name),
    }
    return render(request, "providers/connection.html", context)


@workspace_view(Permission.MANAGE_CONNECTIONS, methods=("GET", "POST"))
def change(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Other settings; an empty secret stays as it is."""
    found = _connection(request, pk)
    declared = declared_settings(found.provider)
    form = ConnectionForm(
        request.POST or None,
        declared=declared,
        stored=_stored_secret_names(found),
        initial=ConnectionForm.initial_of(found.name, found.settings),
    )
    if request.method == "POST" and form.is_valid():
        try:
            found = connection_change(
                connection=found,
                name=form.cleaned_data["name"],
                settings=form.settings,
                secrets=form.secrets,
                forget=form.forgotten,
                by=request.user,
            )
        except SettingError as error:
            form.add_setting_error(error)
        else:
            connection_check_start(connection=found, by=request.user)
            messages.success(request, f"{found.name} is stored. Looking whether it works.")
            return redirect(found)
    context = {
        "form": form,
        "connection": found,
        "provider": provider_label(found.provider),
        "breadcrumbs": _crumbs(request, "Change", found),
    }
    return _kept_out_of_caches(
        render(request, "providers/change.html", context, status=422 if form.errors else 200)
    )


@workspace_view(Permission.TRAIN, methods=("POST",))
def check(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Look now; from the list or from its own page, to which it goes back."""
    found = _connection(request, pk)
    connection_check_start(connection=found, by=request.user)
    if request.POST.get("back") == "list":
        return redirect("providers:connections", request.workspace.slug)
    return redirect(found)


@workspace_view(Permission.MANAGE_CONNECTIONS, methods=("POST",))
def remove(request: WorkspaceRequest, pk: int) -> HttpResponse:
    found = _connection(request, pk)
    try:
        connection_remove(connection=found, by=request.user)
    except ConflictError as error:
        messages.error(request, error.message)
        return redirect(found)
    messages.success(request, f"{found.name} is removed, and its keys are deleted.")
    return redirect("providers:connections", request.workspace.slug)


@workspace_view(Permission.TRAIN, methods=("GET", "POST"))
def prices(request: WorkspaceRequest) -> HttpResponse:
    """The workspace's own prices, those that ship, and a form that a link can fill in."""
    filled = {name: value for name, value in request.GET.items() if name in PriceForm.base_fields}
    form = PriceForm(request.POST or None, initial={"as_of": _today(), **filled})
    if request.method == "POST" and form.is_valid():
        try:
            said = price_set(workspace=request.workspace, by=request.user, **form.values())
        except PortalError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"The price for {said.model} counts from now on.")
            return redirect("providers:prices", request.workspace.slug)
    own = list(prices_of(request.workspace))
    context = {
        "form": form,
        "own": [
            {
                "price": each,
                "amount": price_text(each.amount, each.currency),
                "provider": provider_label(each.provider),
                "what": WHAT_LABELS[what_of(each.kind, each.objective)],
            }
            for each in own
        ],
        "shipped": shipped_lines(),
        "tabs": _tabs(request, "prices"),
        "breadcrumbs": _crumbs(request, "Prices"),
    }
    return render(request, "providers/prices.html", context, status=422 if form.errors else 200)


@workspace_view(Permission.TRAIN, methods=("POST",))
def remove_price(request: WorkspaceRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Price, workspace=request.workspace, pk=pk)
    price_remove(price=found, by=request.user)
    messages.success(request, f"Your price for {found.model} no longer counts.")
    return redirect("providers:prices", request.workspace.slug)


def _connection(request: WorkspaceRequest, pk: int) -> Connection:
    return get_object_or_404(connections_of(request.workspace), pk=pk)


def _shown_settings(connection: Connection) -> list[tuple[str, str]]:
    """With the provider's labels, as far as its adapter is here."""
    try:
        labels = {setting.name: setting.label for setting in declared_settings(connection.provider)}
    except PortalError:
        labels = {}
    return [(labels.get(name, name), value) for name, value in connection.settings.items()]


def _stored_secret_names(connection: Connection) -> frozenset[str]:
    try:
        return frozenset(connection.secrets())
    except PortalError:
        return frozenset()  # sealed with another key: they are entered again


def _today() -> date:
    return timezone.localdate()


def _kept_out_of_caches(response: HttpResponse) -> HttpResponse:
    """A refused form holds what was typed."""
    response.headers["Cache-Control"] = "no-store"
    return response


def _tabs(request: WorkspaceRequest, current: str) -> list[dict[str, Any]]:
    pages = [("connections", "Connections"), ("prices", "Prices")]
    return [
        {
            "label": label,
            "url": reverse(f"providers:{name}", args=[request.workspace.slug]),
            "current": name == current,
        }
        for name, label in pages
    ]


def _crumbs(request: WorkspaceRequest, label: str, below: Connection | None = None) -> list[dict[str, str]]:
    workspace = request.workspace
    crumbs = [
        {"label": workspace.name, "url": workspace.get_absolute_url()},
        {"label": "Connections", "url": reverse("providers:connections", args=[workspace.slug])},
    ]
    if below is not None:
        crumbs.append({"label": below.name, "url": below.get_absolute_url()})
    return [*crumbs, {"label": label, "url": ""}]


def _show_links(lines: ModelLines) -> list[dict[str, Any]]:
    return [
        {"key": key, "label": label, "count": count, "current": lines.only == key}
        for key, label, count in lines.filters
        if count or not key
    ]
