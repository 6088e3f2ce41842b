from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core.admin import ReadOnlyAdmin
from apps.operations.models import Operation


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    list_display = ["title", "state", "kind", "queue", "workspace", "actor", "attempts", "created_at", "page"]
    list_filter = ["state", "kind", "queue", "workspace"]
    search_fields = ["title", "kind", "error", "actor__email"]
    list_select_related = ["workspace", "actor"]
    date_hierarchy = "created_at"

    @admin.display(description="page")
    def page(self, operation: Operation) -> SafeString | str:
        return format_html('<a href="{}">Open</a>', operation.url) if operation.url else ""
