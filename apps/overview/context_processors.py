"""What the shell around every page needs. It costs nothing on pages outside a workspace."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.permissions import Permission
from apps.accounts.selectors import workspaces_of
from apps.overview.standing import stages_of, standing_of
from apps.projects.selectors import projects_of


def shell(request: HttpRequest) -> dict[str, Any]:
    """Navigation and switchers for the shell; htmx fragments never show them, so they skip the queries."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or getattr(request, "htmx", False):
        return _places(request)
    context = _places(request) | {
        "account_pages": _account_pages(request),
        "sign_out_url": reverse("accounts:sign_out"),
    }
    workspace, project = getattr(request, "workspace", None), getattr(request, "project", None)
    context["workspaces"] = [
        {"name": each.name, "url": each.get_absolute_url(), "current": each == workspace}
        for each in workspaces_of(request.user)  # type: ignore[arg-type]
    ]
    if workspace is None:  # the way back to the work
        context["workspace_pages"] = [
            {"label": each["name"], "url": each["url"], "icon": "layout-grid", "current": False}
            for each in context["workspaces"]
        ]
        return context
    listed = list(projects_of(workspace))
    for each in listed:
        each.workspace = workspace
    context["projects"] = [
        {"name": each.name, "url": each.get_absolute_url(), "current": each == project} for each in listed
    ]
    context["workspace_pages"] = _workspace_pages(request)
    context["running_operations_url"] = reverse("operations:list", args=[workspace.slug])
    context["search_url"] = reverse("workspace_home:search", args=[workspace.slug])
    context["live_url"] = reverse("operations:stream", args=[workspace.slug])
    if project is not None:
        standing = getattr(request, "standing", None) or standing_of(
            project
        )  # the overview has read it already
        context["project_stages"] = stages_of(project, standing, request.path)
    context["breadcrumbs"] = _breadcrumbs(request, context)
    return context


def _breadcrumbs(request: HttpRequest, context: dict[str, Any]) -> list[dict[str, str]]:
    """Workspace, project, stage; a page that lies deeper passes its own."""
    workspace, project = context["workspace"], context["project"]
    crumbs = [{"label": workspace.name, "url": workspace.get_absolute_url()}]
    if project is not None:
        crumbs.append({"label": project.name, "url": project.get_absolute_url()})
    pages = [
        stage for stage in context.get("project_stages", []) if stage.current and stage.key != "overview"
    ]
    crumbs += [{"label": stage.label, "url": stage.url} for stage in pages]
    crumbs += [
        {"label": page["label"], "url": page["url"]} for page in context["workspace_pages"] if page["current"]
    ]
    if crumbs[-1]["url"] == request.path:
        crumbs[-1]["url"] = ""
    return crumbs if len(crumbs) > 1 else []


def _places(request: HttpRequest) -> dict[str, Any]:
    """The open workspace and project, and what the person may do there: `may.train`."""
    membership = getattr(request, "membership", None)
    may = {permission.value: bool(membership and membership.allows(permission)) for permission in Permission}
    return {
        "workspace": getattr(request, "workspace", None),
        "project": getattr(request, "project", None),
        "may": may,
    }


def _account_pages(request: HttpRequest) -> list[dict[str, str]]:
    pages = [
        {"label": "Your account", "url": reverse("accounts:account"), "icon": "user"},
        {"label": "Workspaces", "url": reverse("accounts:workspaces"), "icon": "users"},
    ]
    if request.user.is_staff:
        pages.append({"label": "Admin review", "url": reverse("admin:index"), "icon": "shield-check"})
    return pages


def _workspace_pages(request: HttpRequest) -> list[dict[str, Any]]:
    workspace, membership = request.workspace, request.membership  # type: ignore[attr-defined]
    pages = [
        ("Background work", "operations:list", "activity"),
        ("Members", "workspace:members", "users"),
        ("API", "gateway:api", "api"),
    ]
    if membership.allows(Permission.TRAIN):
        pages.append(("Connections", "providers:connections", "plug-connected"))
    if membership.allows(Permission.MANAGE_KEYS):
        pages.append(("API keys", "workspace:api_keys", "key"))
    if membership.allows(Permission.VIEW_AUDIT):
        pages.append(("Audit record", "audit:events", "history"))
    rows = []
    for label, name, icon in pages:
        url = reverse(name, args=[workspace.slug])
        rows.append({"label": label, "url": url, "icon": icon, "current": request.path == url})
    return rows
