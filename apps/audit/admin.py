from django.contrib import admin

from apps.audit.models import AuditEvent
from apps.core.admin import ReadOnlyAdmin


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "actor_label", "action", "target_label", "workspace", "source", "address"]
    list_filter = ["workspace", "source", "action"]
    search_fields = ["actor_label", "action", "target_label", "request_id"]
    date_hierarchy = "created_at"
    list_select_related = ["workspace"]
