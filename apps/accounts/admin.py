from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.accounts.models import ApiKey, Invitation, Membership, User, Workspace
from apps.core.admin import ReadOnlyAdmin, link_to_page

# Rights come from roles in workspaces; groups would only confuse.
admin.site.unregister(Group)


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    readonly_fields = ["workspace", "role", "created_at"]
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    ordering = ["email"]
    list_display = ["email", "name", "is_active", "is_staff", "last_login", "date_joined"]
    list_filter = ["is_active", "is_staff", "memberships__role"]
    search_fields = ["email", "name"]
    date_hierarchy = "date_joined"
    fieldsets = [
        (None, {"fields": ["email", "name", "password"]}),
        ("Access", {"fields": ["is_active", "is_staff", "is_superuser"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "name", "password1", "password2"]})]
    readonly_fields = ["last_login", "date_joined"]
    inlines = [MembershipInline]


@admin.register(Workspace)
class WorkspaceAdmin(admin.ModelAdmin):
    list_display = ["name", "slug", "member_count", "created_at", "page"]
    search_fields = ["name", "slug"]
    readonly_fields = ["slug", "created_at", "updated_at"]

    @admin.display(description="members")
    def member_count(self, workspace: Workspace) -> int:
        return workspace.memberships.count()

    @admin.display(description="page")
    def page(self, workspace: Workspace) -> SafeString:
        return link_to_page(workspace)


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ["user", "workspace", "role", "created_at"]
    list_filter = ["role", "workspace"]
    search_fields = ["user__email", "user__name", "workspace__name"]
    list_select_related = ["user", "workspace"]


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = [
        "email_or_anyone",
        "workspace",
        "role",
        "invited_by",
        "expires_at",
        "accepted_by",
        "revoked_at",
    ]
    list_filter = ["role", "workspace"]
    search_fields = ["email", "invited_by__email"]
    list_select_related = ["workspace", "invited_by", "accepted_by"]
    exclude = ["token_hash"]

    @admin.display(description="for")
    def email_or_anyone(self, invitation: Invitation) -> str:
        return invitation.email or "anyone with the link"


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ["name", "prefix_shown", "user", "workspace", "created_at", "last_used_at", "revoked_at"]
    list_filter = ["workspace", "revoked_at"]
    search_fields = ["name", "prefix", "user__email"]
    list_select_related = ["user", "workspace"]
    exclude = ["key_hash"]

    @admin.display(description="key")
    def prefix_shown(self, key: ApiKey) -> SafeString:
        return format_html("<code>{}…</code>", key.prefix)
