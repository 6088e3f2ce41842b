"""Sign-in, joining by invitation, one's own account."""

from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.access import UserRequest, user_view
from apps.accounts.forms import NameForm, OwnPasswordForm, RegisterForm, SignInForm, WorkspaceForm
from apps.accounts.models import Invitation, User
from apps.accounts.selectors import workspaces_of
from apps.accounts.services import (
    invitation_accept,
    invitation_problem,
    user_password_changed,
    user_register,
    user_update_name,
    workspace_create,
)
from apps.accounts.tokens import token_hash
from apps.core.errors import PortalError

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignInView(LoginView):
    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


sign_in = SignInView.as_view()
sign_out = LogoutView.as_view()


@login_not_required
def join(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind an invitation link: sign in or make an account, then join."""
    invitation = (
        Invitation.objects.select_related("workspace", "invited_by")
        .filter(token_hash=token_hash(token))
        .first()
    )
    if invitation is None:
        raise Http404("No such invitation")
    problem = invitation_problem(invitation)
    form = RegisterForm(request.POST or None, initial={"email": invitation.email})
    if request.method == "POST" and not problem:
        try:
            if isinstance(request.user, User):
                invitation_accept(invitation=invitation, user=request.user)
                return redirect(invitation.workspace)
            if form.is_valid():
                user = user_register(invitation=invitation, **form.cleaned_data)
                login(request, user, backend=MODEL_BACKEND)
                return redirect(invitation.workspace)
        except PortalError as error:
            if isinstance(request.user, User):
                problem = error.message
            else:
                form.add_error(None, error.message)
    context = {"invitation": invitation, "form": form, "problem": problem}
    status = 410 if problem else (422 if form.is_bound and form.errors else 200)
    return render(request, "accounts/join.html", context, status=status)


@user_view(methods=("GET", "POST"))
def account(request: UserRequest) -> HttpResponse:
    """One's own name and password."""
    name_form = NameForm(initial={"name": request.user.name})
    password_form = OwnPasswordForm(request.user)
    if request.method == "POST" and "new_password1" in request.POST:
        password_form = OwnPasswordForm(request.user, request.POST)
        if password_form.is_valid():
            with transaction.atomic():
                user_password_changed(user=password_form.save(), by=request.user)
            update_session_auth_hash(request, request.user)
            messages.success(request, "Your password is changed. Other sessions of yours are signed out.")
            return redirect("accounts:account")
    elif request.method == "POST":
        name_form = NameForm(request.POST)
        if name_form.is_valid():
            user_update_name(user=request.user, name=name_form.cleaned_data["name"])
            messages.success(request, "Your name is saved.")
            return redirect("accounts:account")
    context = {"name_form": name_form, "password_form": password_form}
    invalid = name_form.errors or password_form.errors
    return render(request, "accounts/account.html", context, status=422 if invalid else 200)


@user_view(methods=("GET", "POST"))
def workspaces(request: UserRequest) -> HttpResponse:
    """The workspaces of the signed-in person, and a form for another."""
    form = WorkspaceForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return redirect(workspace_create(name=form.cleaned_data["name"], by=request.user))
    context = {"form": form, "mine": workspaces_of(request.user)}
    return render(request, "accounts/workspaces.html", context, status=422 if form.errors else 200)
