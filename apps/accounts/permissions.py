"""Who may do what: the one table. Views name a permission, never a role."""

from enum import StrEnum

from django.db import models


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    LEAD = "lead", "Lead"
    REVIEWER = "reviewer", "Reviewer"
    LABELER = "labeler", "Labeler"
    VIEWER = "viewer", "Viewer"


class Permission(StrEnum):
    VIEW = "view"
    LABEL = "label"
    REVIEW = "review"
    EDIT_DATA = "edit_data"
    TRAIN = "train"
    EVALUATE = "evaluate"
    MANAGE_LABELING = "manage_labeling"
    MANAGE_PROJECTS = "manage_projects"
    VIEW_AUDIT = "view_audit"
    MANAGE_MEMBERS = "manage_members"
    MANAGE_KEYS = "manage_keys"
    MANAGE_CONNECTIONS = "manage_connections"

    @property
    def label(self) -> str:
        """The rest of the sentence "may …", for people."""
        return PERMISSION_LABELS[self]


PERMISSION_LABELS: dict[str, str] = {
    Permission.VIEW: "see everything in the workspace",
    Permission.LABEL: "label items",
    Permission.REVIEW: "review labels",
    Permission.EDIT_DATA: "import, clean and freeze data",
    Permission.TRAIN: "start and stop training",
    Permission.EVALUATE: "start evaluations",
    Permission.MANAGE_LABELING: "write guidelines and set up labeling sessions",
    Permission.MANAGE_PROJECTS: "create and change projects",
    Permission.VIEW_AUDIT: "read the audit record",
    Permission.MANAGE_MEMBERS: "invite people and change roles",
    Permission.MANAGE_KEYS: "make and withdraw API keys",
    Permission.MANAGE_CONNECTIONS: "connect providers and enter their keys",
}


_VIEWER = frozenset({Permission.VIEW})
_LABELER = _VIEWER | {Permission.LABEL}
_REVIEWER = _LABELER | {Permission.REVIEW, Permission.EDIT_DATA}
_LEAD = _REVIEWER | {
    Permission.TRAIN,
    Permission.EVALUATE,
    Permission.MANAGE_PROJECTS,
    Permission.MANAGE_LABELING,
}
_OWNER = _LEAD | {
    Permission.VIEW_AUDIT,
    Permission.MANAGE_MEMBERS,
    Permission.MANAGE_KEYS,
    Permission.MANAGE_CONNECTIONS,
}

ROLE_PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.LABELER: _LABELER,
    Role.REVIEWER: _REVIEWER,
    Role.LEAD: _LEAD,
    Role.OWNER: _OWNER,
}


def role_allows(role: str, permission: Permission) -> bool:
    return permission in ROLE_PERMISSIONS[role]
