from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from apps.accounts.access import WorkspaceRequest, workspace_view
from apps.accounts.permissions import Permission
from apps.audit.export import audit_csv
from apps.audit.forms import AuditFilterForm
from apps.audit.selectors import AuditFilter, actions_of, events_of
from apps.core.http import stream_download
from apps.core.pagination import keyset_page


def _filter(request: WorkspaceRequest) -> tuple[AuditFilterForm, AuditFilter]:
    form = AuditFilterForm(request.GET, actions=actions_of(request.workspace))
    form.is_valid()
    return form, AuditFilter(**{name: value for name, value in form.cleaned_data.items() if value})


@workspace_view(Permission.VIEW_AUDIT)
def events(request: WorkspaceRequest) -> HttpResponse:
    form, wanted = _filter(request)
    page = keyset_page(events_of(request.workspace, wanted), request.GET, descending=True)
    context = {"form": form, "page": page, "is_filtered": wanted != AuditFilter()}
    return render(request, "audit/events.html", context)


@workspace_view(Permission.VIEW_AUDIT)
def events_csv(request: WorkspaceRequest) -> HttpResponseBase:
    """The same events as the page, all of them."""
    _, wanted = _filter(request)
    return stream_download(
        request,
        audit_csv(events_of(request.workspace, wanted)),
        filename=f"audit-{request.workspace.slug}.csv",
        content_type="text/csv; charset=utf-8",
    )
