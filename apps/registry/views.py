"""The models stage: what was trained, from what, and how it did."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.text import slugify

from apps.accounts.permissions import Permission
from apps.artifacts.storage import blob_read
from apps.core.errors import PortalError
from apps.core.http import stream_download
from apps.core.pagination import keyset_page
from apps.projects.access import ProjectRequest, project_view
from apps.registry.forms import BaseModelForm
from apps.registry.models import Variant
from apps.registry.selectors import base_models_of, life_left, model_versions_of, variants_of
from apps.registry.services import base_model_ensure


@project_view(Permission.VIEW)
def index(request: ProjectRequest) -> HttpResponse:
    """Model versions with where they come from, then the base models of the workspace."""
    page = keyset_page(model_versions_of(request.project), request.GET, key="number", descending=True)
    today = timezone.localdate()
    bases = [(base, life_left(base, today)) for base in base_models_of(request.workspace)[:100]]
    context = {"page": page, "base_models": bases}
    return render(request, "registry/index.html", context)


@project_view(Permission.VIEW)
def model(request: ProjectRequest, pk: int) -> HttpResponse:
    """One model version and its lineage: base model, data, job, evaluations."""
    found = get_object_or_404(model_versions_of(request.project), pk=pk)
    comparisons = [
        comparison
        for variant in found.variants.prefetch_related("comparisons_as_candidate")
        for comparison in variant.comparisons_as_candidate.all()
    ]
    context = {
        "model": found,
        "job": getattr(found, "training_job", None),
        "life": life_left(found.base_model, timezone.localdate()),
        "comparisons": sorted(comparisons, key=lambda comparison: -comparison.pk),
    }
    return render(request, "registry/model.html", context)


@project_view(Permission.VIEW)
def download(request: ProjectRequest, pk: int) -> HttpResponseBase:
    """The artifact as it is stored: a tar of safetensors weights, tokenizer and configuration."""
    found = get_object_or_404(model_versions_of(request.project), pk=pk)
    if found.artifact is None:
        raise Http404("The weights are not stored here")
    response = stream_download(
        request,
        blob_read(found.artifact),
        filename=f"{slugify(found.name) or 'model'}-{(found.artifact.sha256 or '')[:12]}.tar",
        content_type="application/x-tar",
    )
    response.headers["Content-Length"] = str(found.artifact.size)
    return response


@project_view(Permission.TRAIN, methods=("GET", "POST"))
def add_base_model(request: ProjectRequest) -> HttpResponse:
    form = BaseModelForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            added = base_model_ensure(workspace=request.workspace, actor=request.user, **form.cleaned_data)
        except PortalError as error:
            form.add_error("reference", error.message)
        else:
            messages.success(request, f"{added.name} can be trained from now on.")
            return redirect("registry:index", request.workspace.slug, request.project.slug)
    return render(request, "registry/add_base_model.html", {"form": form}, status=422 if form.errors else 200)


@project_view(Permission.VIEW)
def variants(request: ProjectRequest) -> HttpResponse:
    """Every way to produce an answer that was used here."""
    page = keyset_page(variants_of(request.project), request.GET, descending=True)
    return render(request, "registry/variants.html", {"page": page})


@project_view(Permission.VIEW)
def variant(request: ProjectRequest, pk: int) -> HttpResponse:
    found: Variant = get_object_or_404(variants_of(request.project), pk=pk)
    return render(request, "registry/variant.html", {"variant": found})
