"""Base models of a workspace that its connections offer."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect

from apps.accounts.access import WorkspaceRequest, workspace_view
from apps.accounts.permissions import Permission
from apps.providers.selectors import connections_of
from apps.registry.forms import OfferedModelForm
from apps.registry.services import remote_base_model_ensure


@workspace_view(Permission.TRAIN, methods=("POST",))
def add(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Take a model of a connection's list into the workspace, for every project."""
    connection = get_object_or_404(connections_of(request.workspace), pk=pk)
    form = OfferedModelForm(request.POST)
    if form.is_valid():
        added = remote_base_model_ensure(connection=connection, actor=request.user, **form.cleaned_data)
        messages.success(request, f"{added.name} is a base model of {request.workspace} now.")
    else:
        messages.error(request, "Choose a model of the list.")
    return redirect(connection)
