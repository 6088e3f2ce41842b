"""The page that says how programs use the workspace."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.access import WorkspaceRequest, require, workspace_view
from apps.accounts.permissions import Permission
from apps.gateway.forms import AliasForm
from apps.gateway.models import ModelAlias
from apps.gateway.selectors import webhooks_with_last_delivery
from apps.gateway.served import api_name, base_models_of, served_models_of
from apps.gateway.services.served_models import model_alias_remove, model_alias_set, served_models_ensure

SHOWN_MODELS = 20


@workspace_view(Permission.VIEW, methods=("GET", "POST"))
def api(request: WorkspaceRequest) -> HttpResponse:
    """Everybody sees where the API is and what it serves; who may train also gives names to base models."""
    workspace = request.workspace
    served_models_ensure(workspace=workspace)
    bases = base_models_of(workspace)
    form = AliasForm(request.POST or None, workspace=workspace)
    if request.method == "POST":
        require(request.membership, Permission.TRAIN)
        if form.is_valid():
            model_alias_set(workspace=workspace, by=request.user, **form.cleaned_data)
            messages.success(request, f"Programs may now ask for {form.cleaned_data['name']}.")
            return redirect("gateway:api", workspace.slug)
    tuned = served_models_of(workspace).select_related("model_version__project__workspace")
    context = {
        "base_url": request.build_absolute_uri("/v1"),
        "bases": [(api_name(base), base) for base in bases],
        "tuned": list(tuned.filter(checkpoint=None).order_by("-pk")[:SHOWN_MODELS]),
        "aliases": ModelAlias.objects.filter(workspace=workspace).select_related("base_model"),
        "webhooks": webhooks_with_last_delivery(workspace),
        "limit": settings.FTPORTAL_API_REQUESTS_PER_MINUTE,
        "form": form,
        "may_train": request.membership.allows(Permission.TRAIN),
        "may_make_keys": request.membership.allows(Permission.MANAGE_KEYS),
    }
    return render(request, "gateway/api.html", context, status=422 if form.is_bound else 200)


@workspace_view(Permission.TRAIN, methods=("POST",))
def alias_remove(request: WorkspaceRequest, pk: int) -> HttpResponse:
    alias = get_object_or_404(ModelAlias, workspace=request.workspace, pk=pk)
    model_alias_remove(alias=alias, by=request.user)
    messages.success(request, f"{alias.name} means nothing any more.")
    return redirect("gateway:api", request.workspace.slug)
