"""What is expected of every address: who may open it, with which method, and what its numbers refer to.

Written by hand and apart from the views, so that a view that forgets its guard disagrees with this table.
"""

from dataclasses import dataclass

PUBLIC = "public"
"""Anyone, without signing in."""
SIGNED_IN = "signed in"
"""Anyone who signed in, of whatever workspace."""

VIEWER, LABELER, REVIEWER, LEAD, OWNER = "viewer", "labeler", "reviewer", "lead", "owner"
ROLES = (VIEWER, LABELER, REVIEWER, LEAD, OWNER)
"""From the least to the most; each may do what those before it may."""


@dataclass(frozen=True)
class Expected:
    """`least` is PUBLIC, SIGNED_IN or the least role; `methods` are tried one by one; `pk` names the fixture."""

    least: str
    methods: tuple[str, ...] = ("GET",)
    pk: str = ""
    post_least: str = ""
    """Where posting needs more than looking: the least role for POST."""

    def least_for(self, method: str) -> str:
        return self.post_least if method == "POST" and self.post_least else self.least


BOTH = ("GET", "POST")
POST = ("POST",)

EXPECTED: dict[str, Expected] = {
    "home": Expected(SIGNED_IN),
    "health": Expected(PUBLIC),
    # --- people ---------------------------------------------------------------------------------------------
    "accounts:sign_in": Expected(PUBLIC, BOTH),
    "accounts:sign_out": Expected(PUBLIC, POST),
    "accounts:join": Expected(PUBLIC, BOTH),
    "accounts:account": Expected(SIGNED_IN, BOTH),
    "accounts:workspaces": Expected(SIGNED_IN, BOTH),
    # --- workspace ------------------------------------------------------------------------------------------
    "projects:list": Expected(VIEWER),
    "projects:create": Expected(LEAD, BOTH),
    "projects:settings": Expected(LEAD, BOTH),
    "workspace:members": Expected(VIEWER, BOTH, post_least=OWNER),
    "workspace:member_change_role": Expected(OWNER, POST, pk="membership"),
    "workspace:member_remove": Expected(OWNER, POST, pk="membership"),
    "workspace:invitation_withdraw": Expected(OWNER, POST, pk="invitation"),
    "workspace:api_keys": Expected(OWNER, BOTH),
    "workspace:api_key_withdraw": Expected(OWNER, POST, pk="api_key"),
    "audit:events": Expected(OWNER),
    "audit:events_csv": Expected(OWNER),
    "operations:list": Expected(VIEWER),
    "operations:stream": Expected(VIEWER),
    "operations:cancel": Expected(LEAD, POST, pk="operation"),
    # --- project --------------------------------------------------------------------------------------------
    "overview:project": Expected(VIEWER),
}
