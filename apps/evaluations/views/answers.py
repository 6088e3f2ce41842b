"""What answers of the project look like."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.permissions import Permission
from apps.evaluations.forms_answers import AnswerFormForm
from apps.evaluations.services.answer_forms import answer_form_declare
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.MANAGE_PROJECTS, methods=("GET", "POST"))
def answer_form(request: ProjectRequest) -> HttpResponse:
    """Declare the form by which checks and evaluations read answers."""
    form = AnswerFormForm(
        request.POST or None, initial=AnswerFormForm.initial_of(request.project.answer_form)
    )
    if request.method == "POST" and form.is_valid():
        answer_form_declare(project=request.project, form=form.declared, by=request.user)
        messages.success(
            request, "The form of the answers is saved. Checks and new suites read answers by it from now on."
        )
        return redirect("evaluations:answer_form", request.workspace.slug, request.project.slug)
    return render(request, "evaluations/answer_form.html", {"form": form}, status=422 if form.errors else 200)
