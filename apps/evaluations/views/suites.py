"""Suites: looking at one, uploading one, adding the shipped one."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.permissions import Permission
from apps.artifacts.storage import blob_store
from apps.core.errors import PortalError
from apps.core.formatting import format_number
from apps.core.pagination import keyset_page
from apps.evaluations.forms import SuiteUploadForm
from apps.evaluations.models import Suite
from apps.evaluations.services.suites import general_suite_add, suite_from_file
from apps.projects.access import ProjectRequest, project_view
from apps.scoring.answers import describe_form, form_from_dict


@project_view(Permission.VIEW)
def suite(request: ProjectRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(
        Suite.objects.select_related("version__dataset", "created_by"), project=request.project, pk=pk
    )
    page: Any = keyset_page(found.items.order_by("position"), request.GET, key="position")
    context = {
        "suite": found,
        "page": page,
        "form_described": describe_form(form_from_dict(found.answer_form)),
        "comparisons": found.comparisons.order_by("-pk")[:20],
    }
    return render(request, "evaluations/suite.html", context)


@project_view(Permission.EVALUATE, methods=("GET", "POST"))
def upload(request: ProjectRequest) -> HttpResponse:
    form = SuiteUploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            blob = blob_store(content=values["file"].chunks(), content_type="application/jsonl")
            found = suite_from_file(
                project=request.project, name=values["name"], kind=values["kind"], blob=blob, by=request.user
            )
        except PortalError as error:
            form.add_error("file", error.message)
        else:
            return redirect(found)
    return render(
        request, "evaluations/upload_suite.html", {"form": form}, status=422 if form.errors else 200
    )


@project_view(Permission.EVALUATE, methods=("POST",))
def add_general(request: ProjectRequest) -> HttpResponse:
    found = general_suite_add(project=request.project, by=request.user)
    messages.success(request, f"“{found.name}” is ready: {format_number(found.item_count)} items.")
    return redirect(found)
