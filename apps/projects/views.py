from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.access import WorkspaceRequest, workspace_view
from apps.accounts.permissions import Permission
from apps.projects.access import ProjectRequest, project_view
from apps.projects.forms import ProjectForm, ProjectSettingsForm
from apps.projects.services import project_archive, project_create, project_restore, project_update


@workspace_view(Permission.MANAGE_PROJECTS, methods=("GET", "POST"))
def create(request: WorkspaceRequest) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        project = project_create(workspace=request.workspace, by=request.user, **form.cleaned_data)
        return redirect(project)
    return render(request, "projects/create.html", {"form": form}, status=422 if form.errors else 200)


@project_view(Permission.MANAGE_PROJECTS, methods=("GET", "POST"))
def settings(request: ProjectRequest) -> HttpResponse:
    project = request.project
    initial = {name: getattr(project, name) for name in ProjectSettingsForm.base_fields}
    form = ProjectSettingsForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        project_update(project=project, by=request.user, **form.cleaned_data)
        messages.success(request, "The settings are saved.")
        return redirect("projects:settings", request.workspace.slug, project.slug)
    return render(request, "projects/settings.html", {"form": form}, status=422 if form.errors else 200)


@project_view(Permission.MANAGE_PROJECTS, methods=("POST",))
def archive(request: ProjectRequest) -> HttpResponse:
    project_archive(project=request.project, by=request.user)
    messages.success(request, f"{request.project} is archived.")
    return redirect(request.workspace)


@project_view(Permission.MANAGE_PROJECTS, methods=("POST",))
def restore(request: ProjectRequest) -> HttpResponse:
    project_restore(project=request.project, by=request.user)
    messages.success(request, f"{request.project} is in the lists again.")
    return redirect(request.project)
