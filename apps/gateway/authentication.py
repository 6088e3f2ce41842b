"""Who asks: the key of a request, and the member of a workspace whose it is."""

import time
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import ApiKey, Membership, User, Workspace
from apps.accounts.permissions import Permission
from apps.accounts.tokens import token_hash
from apps.gateway.errors import ApiError

KNOWN_SECONDS = 3.0
"""How long a key is taken as it was looked up: so long one that was withdrawn may still be used."""
KNOWN_KEYS = 10_000
NOTE_USE_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Principal:
    """A program that acts for a person in one workspace."""

    key: ApiKey
    user: User
    workspace: Workspace
    membership: Membership

    def require(self, permission: Permission) -> None:
        if not self.membership.allows(permission):
            raise ApiError(
                f"This key acts as a {self.membership.get_role_display().lower()} of {self.workspace}, who may not"
                f" {permission.label}. An owner of the workspace can change the role.",
                status=403,
                code="insufficient_permissions",
            )


class KnownKeys:
    """Keys that were looked up moments ago. Belongs to one event loop; holds hashes, not keys."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Principal]] = {}

    def get(self, authorization: str) -> tuple[str, Principal | None]:
        """The hash of the key, and whose it is if that is known. Raises ApiError 401 where there is no key."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise ApiError(
                "You didn't provide an API key. Provide it in an Authorization header with Bearer auth (Authorization:"
                " Bearer YOUR_KEY). Keys are made in the settings of a workspace.",
                status=401,
                code="missing_api_key",
            )
        hashed = token_hash(text.strip())
        found = self._known.get(hashed)
        if found is None or found[0] < time.monotonic():
            return hashed, None
        return hashed, found[1]

    def put(self, hashed: str, principal: Principal) -> None:
        if len(self._known) >= KNOWN_KEYS:
            self._known.clear()
        self._known[hashed] = (time.monotonic() + KNOWN_SECONDS, principal)


def look_up(hashed: str) -> Principal:
    """The principal of a key by its hash. Raises ApiError 401."""
    key = ApiKey.objects.select_related("user", "workspace").filter(key_hash=hashed, revoked_at=None).first()
    membership = (
        Membership.objects.filter(workspace_id=key.workspace_id, user_id=key.user_id).first() if key else None
    )
    if key is None or membership is None or not key.user.is_active:
        raise ApiError(
            "Incorrect API key provided. It was withdrawn, or never made here; make one in the settings of a"
            " workspace.",
            status=401,
            code="invalid_api_key",
        )
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - NOTE_USE_EVERY)
    ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
    membership.workspace, membership.user = key.workspace, key.user
    return Principal(key=key, user=key.user, workspace=key.workspace, membership=membership)
