"""A workspace's settings: members, invitations and keys."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from apps.accounts.access import WorkspaceRequest, require, workspace_view
from apps.accounts.forms import ApiKeyForm, InvitationForm, RoleForm, WorkspaceForm
from apps.accounts.models import ApiKey, Invitation, Membership
from apps.accounts.permissions import ROLE_PERMISSIONS, Permission, Role
from apps.accounts.selectors import api_keys_of, members_of, open_invitations_of
from apps.accounts.services import (
    api_key_create,
    api_key_revoke,
    invitation_create,
    invitation_revoke,
    membership_change_role,
    membership_remove,
    workspace_rename,
)
from apps.core.errors import PortalError


@workspace_view(Permission.VIEW, methods=("GET", "POST"))
def members(request: WorkspaceRequest) -> HttpResponse:
    """Everybody sees who is here; owners also invite."""
    may_manage = request.membership.allows(Permission.MANAGE_MEMBERS)
    form = InvitationForm(request.POST or None)
    link = ""
    if request.method == "POST":
        require(request.membership, Permission.MANAGE_MEMBERS)
        if form.is_valid():
            try:
                _, token = invitation_create(
                    workspace=request.workspace, by=request.user, **form.cleaned_data
                )
            except PortalError as error:
                form.add_error(None, error.message)
            else:
                link = request.build_absolute_uri(reverse("accounts:join", args=[token]))
                form = InvitationForm()
    context = {
        "members": members_of(request.workspace),
        "invitations": open_invitations_of(request.workspace) if may_manage else [],
        "form": form,
        "link": link,
        "may_manage": may_manage,
        "roles": Role.choices,
        "permissions": [
            (permission, [role for role in Role.values if permission in ROLE_PERMISSIONS[role]])
            for permission in Permission
        ],
    }
    invalid = form.is_bound and form.errors
    return render(request, "accounts/members.html", context, status=422 if invalid else 200)


@workspace_view(Permission.MANAGE_MEMBERS, methods=("POST",))
def member_change_role(request: WorkspaceRequest, pk: int) -> HttpResponse:
    membership = get_object_or_404(Membership, workspace=request.workspace, pk=pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise PortalError("Choose one of the roles in the list.")
    membership_change_role(membership=membership, role=form.cleaned_data["role"], by=request.user)
    messages.success(request, f"{membership.user} is now {Role(form.cleaned_data['role']).label.lower()}.")
    return redirect("workspace:members", request.workspace.slug)


@workspace_view(Permission.MANAGE_MEMBERS, methods=("POST",))
def member_remove(request: WorkspaceRequest, pk: int) -> HttpResponse:
    membership = get_object_or_404(Membership, workspace=request.workspace, pk=pk)
    membership_remove(membership=membership, by=request.user)
    messages.success(request, f"{membership.user} is no longer a member.")
    if membership.user == request.user:
        return redirect("home")
    return redirect("workspace:members", request.workspace.slug)


@workspace_view(Permission.MANAGE_MEMBERS, methods=("POST",))
def invitation_withdraw(request: WorkspaceRequest, pk: int) -> HttpResponse:
    invitation = get_object_or_404(Invitation, workspace=request.workspace, pk=pk)
    invitation_revoke(invitation=invitation, by=request.user)
    messages.success(request, "The invitation is withdrawn; its link no longer works.")
    return redirect("workspace:members", request.workspace.slug)


@workspace_view(Permission.MANAGE_KEYS, methods=("GET", "POST"))
def api_keys(request: WorkspaceRequest) -> HttpResponse:
    """Keys of the workspace. A new one is shown on this one answer and never again."""
    form = ApiKeyForm(request.POST or None)
    new_key = ""
    if request.method == "POST" and form.is_valid():
        _, new_key = api_key_create(
            workspace=request.workspace, user=request.user, name=form.cleaned_data["name"]
        )
        form = ApiKeyForm()
    context = {"form": form, "keys": api_keys_of(request.workspace), "new_key": new_key}
    response = render(request, "accounts/api_keys.html", context, status=422 if form.errors else 200)
    response.headers["Cache-Control"] = "no-store"
    return response


@workspace_view(Permission.MANAGE_KEYS, methods=("POST",))
def api_key_withdraw(request: WorkspaceRequest, pk: int) -> HttpResponse:
    key = get_object_or_404(ApiKey, workspace=request.workspace, pk=pk)
    api_key_revoke(key=key, by=request.user)
    messages.success(request, f"The key {key.name} no longer works.")
    return redirect("workspace:api_keys", request.workspace.slug)


@workspace_view(Permission.MANAGE_MEMBERS, methods=("POST",))
def rename(request: WorkspaceRequest) -> HttpResponse:
    form = WorkspaceForm(request.POST)
    if not form.is_valid():
        raise PortalError("A workspace needs a name of at most 80 characters.")
    workspace_rename(workspace=request.workspace, name=form.cleaned_data["name"], by=request.user)
    messages.success(request, f"The workspace is called {request.workspace} now.")
    return redirect("workspace:members", request.workspace.slug)
