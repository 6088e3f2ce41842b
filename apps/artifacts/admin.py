from django.contrib import admin

from apps.artifacts.models import Blob
from apps.core.admin import ReadOnlyAdmin


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    list_display = ["sha256", "size", "content_type", "created_at"]
    list_filter = ["content_type"]
    search_fields = ["sha256"]
    date_hierarchy = "created_at"
