"""People, workspaces, memberships, invitations and keys: every change, recorded in the same transaction."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from apps.accounts.models import ApiKey, Invitation, Membership, User, Workspace
from apps.accounts.permissions import Role
from apps.accounts.tokens import token_hash
from apps.core.errors import ConflictError, PortalError
from apps.core.recording import record

INVITATION_DAYS = 14
USE_NOTED_EVERY = timedelta(minutes=1)
KEY_PREFIX = "ftp-"


@dataclass(frozen=True)
class FirstAdmin:
    """The one-time sign-in that the first start prints."""

    email: str
    password: str


@transaction.atomic
def first_admin_create(*, email: str = "admin@localhost") -> FirstAdmin | None:
    """The first person, with a workspace of their own; None once anybody exists."""
    if User.objects.exists():
        return None
    password = secrets.token_urlsafe(12)
    user = User.objects.create_superuser(email, password, name="Admin")
    record(workspace=None, actor=None, action="user.created", target=user, data={"first_admin": True})
    workspace_create(name="My team", by=user)
    return FirstAdmin(email=user.email, password=password)


@transaction.atomic
def workspace_create(*, name: str, by: User) -> Workspace:
    """A workspace with `by` as its owner; its address is made from the name."""
    name = name.strip()
    if not name:
        raise PortalError("A workspace needs a name.")
    workspace = Workspace.objects.create(name=name, slug=_free_slug(name))
    Membership.objects.create(workspace=workspace, user=by, role=Role.OWNER)
    record(workspace=workspace, actor=by, action="workspace.created", target=workspace)
    return workspace


@transaction.atomic
def workspace_rename(*, workspace: Workspace, name: str, by: User) -> None:
    """Another name; the address stays, so that links go on working. The same name again changes nothing."""
    name = name.strip()
    if not name:
        raise PortalError("A workspace needs a name.")
    before = Workspace.objects.select_for_update().get(pk=workspace.pk).name
    if name == before:
        return
    workspace.name = name
    workspace.save(update_fields=["name", "updated_at"])
    record(
        workspace=workspace,
        actor=by,
        action="workspace.renamed",
        target=workspace,
        before={"name": before},
        after={"name": workspace.name},
    )


def _free_slug(name: str) -> str:
    base = slugify(name)[:40] or "workspace"
    slug, number = base, 1
    while Workspace.objects.filter(slug=slug).exists():
        number += 1
        slug = f"{base}-{number}"
    return slug


@transaction.atomic
def invitation_create(*, workspace: Workspace, email: str, role: str, by: User) -> tuple[Invitation, str]:
    """An invitation and its token, which is shown once and not kept."""
    email = email.strip().lower()
    if email and Membership.objects.filter(workspace=workspace, user__email__iexact=email).exists():
        raise ConflictError(f"{email} is a member of {workspace} already.")
    token = secrets.token_urlsafe(24)
    invitation = Invitation.objects.create(
        workspace=workspace,
        email=email,
        role=role,
        token_hash=token_hash(token),
        invited_by=by,
        expires_at=timezone.now() + timedelta(days=INVITATION_DAYS),
    )
    record(
        workspace=workspace,
        actor=by,
        action="invitation.created",
        target=invitation,
        after={"email": email, "role": role},
    )
    return invitation, token


@transaction.atomic
def invitation_revoke(*, invitation: Invitation, by: User) -> None:
    """Its link joins nobody any more. One that was accepted or withdrawn already stays as it is."""
    changed = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None).update(
        revoked_at=timezone.now()
    )
    if changed:
        record(workspace=invitation.workspace, actor=by, action="invitation.revoked", target=invitation)


@transaction.atomic
def invitation_accept(*, invitation: Invitation, user: User) -> Membership:
    """Join, once. Raises `ConflictError` for a link that was used, withdrawn or is too old."""
    locked = Invitation.objects.select_for_update().get(pk=invitation.pk)
    if reason := invitation_problem(locked):
        raise ConflictError(reason)
    if locked.email and locked.email != user.email.lower():
        raise ConflictError(
            f"This invitation is for {locked.email}, and you are signed in as {user.email}."
            " Sign out and open the link again, or ask for an invitation to your address."
        )
    membership, created = Membership.objects.get_or_create(
        workspace=locked.workspace, user=user, defaults={"role": locked.role}
    )
    if not created:
        raise ConflictError(f"You are a member of {locked.workspace} already.")
    locked.accepted_at = timezone.now()
    locked.accepted_by = user
    locked.save(update_fields=["accepted_at", "accepted_by", "updated_at"])
    record(
        workspace=locked.workspace,
        actor=user,
        action="membership.created",
        target=membership,
        after={"role": membership.role},
        data={"invitation": locked.pk},
    )
    return membership


def invitation_problem(invitation: Invitation) -> str:
    """Why the link no longer works, or an empty string."""
    ask = " Ask the person who sent it for a new one."
    if invitation.accepted_at:
        return "This invitation was used already." + ask
    if invitation.revoked_at:
        return "This invitation was withdrawn." + ask
    if invitation.has_expired:
        return f"This invitation was good for {INVITATION_DAYS} days and has expired." + ask
    return ""


@transaction.atomic
def user_register(*, invitation: Invitation, email: str, name: str, password: str) -> User:
    """Make the account of somebody who was invited, and let them join."""
    email = (invitation.email or email).strip().lower()
    if User.objects.filter(email__iexact=email).exists():
        raise ConflictError(f"There is an account for {email} already. Sign in, then open the link again.")
    try:
        validate_password(password, User(email=email, name=name))
    except ValidationError as error:
        raise PortalError(" ".join(error.messages)) from error
    user = User.objects.create_user(email, password, name=name.strip())
    record(workspace=None, actor=user, action="user.created", target=user)
    invitation_accept(invitation=invitation, user=user)
    return user


@transaction.atomic
def membership_change_role(*, membership: Membership, role: str, by: User) -> None:
    """Raises `ConflictError` where the workspace would be left without an owner."""
    locked = _lock_memberships(membership)
    if role == locked.role:
        return
    if locked.role == Role.OWNER:
        _refuse_last_owner(locked)
    before = locked.role
    locked.role = role
    locked.save(update_fields=["role", "updated_at"])
    record(
        workspace=locked.workspace,
        actor=by,
        action="membership.role_changed",
        target=locked,
        before={"role": before},
        after={"role": role},
    )


@transaction.atomic
def membership_remove(*, membership: Membership, by: User) -> None:
    """Take a person out of the workspace; their keys for it stop working, what they did stays."""
    locked = _lock_memberships(membership)
    if locked.role == Role.OWNER:
        _refuse_last_owner(locked)
    ApiKey.objects.filter(workspace=locked.workspace, user=locked.user, revoked_at=None).update(
        revoked_at=timezone.now()
    )
    record(
        workspace=locked.workspace,
        actor=by,
        action="membership.removed",
        target=locked,
        before={"role": locked.role, "email": locked.user.email},
    )
    locked.delete()


def _lock_memberships(membership: Membership) -> Membership:
    """Lock all of the workspace, in order: two owners leaving at once must not both pass the check."""
    rows = list(
        Membership.objects.select_for_update().filter(workspace_id=membership.workspace_id).order_by("pk")
    )
    for row in rows:
        if row.pk == membership.pk:
            return row
    raise ConflictError("This person is no longer a member. Reload the page.")


def _refuse_last_owner(membership: Membership) -> None:
    others = Membership.objects.filter(workspace=membership.workspace, role=Role.OWNER).exclude(
        pk=membership.pk
    )
    if not others.exists():
        raise ConflictError("A workspace needs an owner: make somebody else an owner first.")


@transaction.atomic
def api_key_create(*, workspace: Workspace, user: User, name: str) -> tuple[ApiKey, str]:
    """A key that acts as `user` in `workspace`, and its text, which is shown once and not kept."""
    name = name.strip()
    if not name:
        raise PortalError("Give the key a name that says what uses it.")
    text = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        workspace=workspace, user=user, name=name, prefix=text[:10], key_hash=token_hash(text)
    )
    record(workspace=workspace, actor=user, action="api_key.created", target=key)
    return key, text


@transaction.atomic
def api_key_revoke(*, key: ApiKey, by: User) -> None:
    """Programs that use the key are refused from now on. Nothing happens to one that was withdrawn before."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        record(workspace=key.workspace, actor=by, action="api_key.revoked", target=key)


def api_key_used(*, key: ApiKey) -> None:
    """Note that a program used the key; to the minute, so that many calls don't all write."""
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at >= USE_NOTED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


@transaction.atomic
def user_update_name(*, user: User, name: str) -> None:
    """A person renames themselves; white space around the name is dropped."""
    before = user.name
    user.name = name.strip()
    user.save(update_fields=["name"])
    record(
        workspace=None,
        actor=user,
        action="user.renamed",
        target=user,
        before={"name": before},
        after={"name": user.name},
    )


def user_password_changed(*, user: User, by: User) -> None:
    """Only the record: Django's form changed the password in the surrounding transaction."""
    record(workspace=None, actor=by, action="user.password_changed", target=user)


def user_saved_in_review(*, user: User, by: User, before: dict[str, Any] | None) -> None:
    """Only the record, as above. `before`: what the changed fields held; None for a new account."""
    fields = before if before is not None else ("email", "name", "is_active", "is_staff", "is_superuser")
    record(
        workspace=None,
        actor=by,
        action="user.created" if before is None else "user.changed",
        target=user,
        before=before,
        after={name: getattr(user, name) for name in fields},
    )
