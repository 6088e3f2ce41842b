"""Letting programs in: a key in `Authorization: Bearer …` acts as the person who made it, in one workspace."""

from typing import Any

from django.http import Http404, HttpRequest
from ninja.security import HttpBearer

from apps.accounts.access import enter_workspace
from apps.accounts.models import ApiKey
from apps.accounts.permissions import Permission
from apps.accounts.selectors import working_api_key
from apps.accounts.services import api_key_used


class WorkspaceKey(HttpBearer):
    """For an address below a workspace: sets `request.user`, `.workspace` and `.membership`, as for pages.

    It runs before the input is looked at, so nobody learns from a message about input what they may not see.
    """

    def __init__(self, permission: Permission) -> None:
        super().__init__()
        self.permission = permission

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        key = working_api_key(token)
        if key is None:
            return None
        request.user = key.user
        self.enter(request, key)
        api_key_used(key=key)
        return key

    def enter(self, request: HttpRequest, key: ApiKey) -> None:
        """Raise Http404 or NotAllowedError where the key does not open the address."""
        assert request.resolver_match is not None
        slug = request.resolver_match.kwargs["workspace_slug"]
        if key.workspace.slug != slug:
            raise Http404("The key belongs to another workspace")
        enter_workspace(request, slug, self.permission)
