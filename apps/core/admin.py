"""Admin review: what every app's lists share."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString


class ReadOnlyAdmin(admin.ModelAdmin):
    """For review only: rows are changed through the pages, which check and record, never here."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def link_to_page(row: Any) -> SafeString:
    """A link from the review to the page of the thing."""
    return format_html('<a href="{}">Open</a>', row.get_absolute_url())
