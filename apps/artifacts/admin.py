from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.artifacts.models import Blob, BlobChunk
from apps.core.admin import ReadOnlyAdmin, RowAdmin


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    list_display = ["sha256", "size", "content_type", "created_at"]
    list_filter = ["content_type"]
    search_fields = ["sha256"]
    date_hierarchy = "created_at"


@admin.register(BlobChunk)
class BlobChunkAdmin(RowAdmin):
    list_display = ["blob_id", "index"]
    search_fields = ["=blob__sha256"]
    fields = ["blob", "index"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[BlobChunk]:
        return super().get_queryset(request).defer("data")
