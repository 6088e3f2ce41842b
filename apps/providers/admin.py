from django.contrib import admin

from apps.core.admin import ReadOnlyAdmin, RowAdmin, WithPageAdmin
from apps.providers.models import Connection, Price, SentFile


@admin.register(Connection)
class ConnectionAdmin(WithPageAdmin):
    list_display = [
        "name", "workspace", "provider", "reachable", "authenticated", "checked_at", "created_by", "removed_at", "page",
    ]  # fmt: skip
    list_filter = ["provider", "reachable", "authenticated", "workspace"]
    search_fields = ["name"]
    list_select_related = ["workspace", "created_by"]
    exclude = ["sealed_secrets"]


@admin.register(SentFile)
class SentFileAdmin(RowAdmin):
    list_display = ["filename", "connection", "role", "objective", "size", "provider_file", "created_at"]
    list_filter = ["connection", "role"]
    search_fields = ["filename", "provider_file", "sha256"]
    list_select_related = ["connection"]


@admin.register(Price)
class PriceAdmin(ReadOnlyAdmin):
    list_display = [
        "provider",
        "model",
        "kind",
        "objective",
        "amount",
        "currency",
        "as_of",
        "workspace",
        "changed_by",
    ]
    list_filter = ["provider", "kind", "workspace"]
    search_fields = ["model"]
    list_select_related = ["workspace", "changed_by"]
