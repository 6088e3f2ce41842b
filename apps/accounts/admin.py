from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Count, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.accounts.models import ApiKey, Invitation, Membership, User, Workspace
from apps.accounts.services import user_password_changed, user_saved_in_review, workspace_rename
from apps.core.admin import ReadOnlyAdmin, WithPageAdmin

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


class AccountForm(UserChangeForm):
    """Addresses are kept in small letters, as sign-in looks for them."""

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()


class NewAccountForm(AdminUserCreationForm):
    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """All staff look; superusers make accounts and switch them off. None is deleted: the audit record names them."""

    form = AccountForm
    add_form = NewAccountForm
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
    add_fieldsets = [(None, {"fields": ["email", "name", "usable_password", "password1", "password2"]})]
    readonly_fields = ["last_login", "date_joined"]
    inlines = [MembershipInline]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_staff

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_staff

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        before = {name: form.initial[name] for name in form.changed_data} if change else None
        if before != {}:
            user_saved_in_review(user=obj, by=_person(request), before=before)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():
            response: HttpResponse = super().user_change_password(request, id, form_url)
            if response.status_code == HTTPStatus.FOUND:
                user_password_changed(user=User.objects.get(pk=id), by=_person(request))
        return response


@admin.register(Workspace)
class WorkspaceAdmin(WithPageAdmin):
    """Made on the page of workspaces, where somebody becomes the owner; here only the name may be mended."""

    list_display = ["name", "slug", "member_count", "created_at", "page"]
    search_fields = ["name", "slug"]
    readonly_fields = ["slug", "created_at", "updated_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        workspaces: QuerySet[Workspace] = super().get_queryset(request)
        return workspaces.annotate(members_counted=Count("memberships"))

    @admin.display(description="members", ordering="members_counted")
    def member_count(self, workspace: Any) -> int:
        return int(workspace.members_counted)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def save_model(self, request: HttpRequest, obj: Workspace, form: ModelForm, change: bool) -> None:
        if form.changed_data:
            workspace_rename(workspace=obj, name=obj.name, by=_person(request))


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # the admin lets nobody else in
    return request.user


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
