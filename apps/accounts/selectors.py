"""Reads about people and workspaces, scoped to what the asking person belongs to."""

from django.db.models import Case, Exists, IntegerField, OuterRef, QuerySet, Value, When

from apps.accounts.models import ApiKey, Invitation, Membership, User, Workspace
from apps.accounts.permissions import Role
from apps.accounts.tokens import token_hash

_ROLE_ORDER = Case(
    *(When(role=role, then=Value(index)) for index, role in enumerate(Role.values)),
    output_field=IntegerField(),
)


def workspaces_of(user: User) -> QuerySet[Workspace]:
    """Those that the person is a member of, by name."""
    return Workspace.objects.filter(memberships__user=user).order_by("name")


def members_of(workspace: Workspace) -> QuerySet[Membership]:
    """Owners first, then by name."""
    return (
        Membership.objects.filter(workspace=workspace)
        .select_related("user")
        .order_by(_ROLE_ORDER, "user__name", "user__email")
    )


def open_invitations_of(workspace: Workspace) -> QuerySet[Invitation]:
    """Neither accepted nor withdrawn; those that have expired are among them."""
    return Invitation.objects.filter(workspace=workspace, accepted_at=None, revoked_at=None).select_related(
        "invited_by"
    )


def api_keys_of(workspace: Workspace) -> QuerySet[ApiKey]:
    """All keys, withdrawn ones too."""
    return ApiKey.objects.filter(workspace=workspace).select_related("user")


def working_api_key(text: str) -> ApiKey | None:
    """The key of this text, unless it was withdrawn or its person has left the workspace or is locked out."""
    return (
        ApiKey.objects.filter(key_hash=token_hash(text), revoked_at=None, user__is_active=True)
        .filter(Exists(Membership.objects.filter(workspace=OuterRef("workspace"), user=OuterRef("user"))))
        .select_related("workspace", "user")
        .first()
    )
