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

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_staff

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """All staff: there is nothing to grant, since there is nothing to change."""
        return request.user.is_staff

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RowAdmin(ReadOnlyAdmin):
    """Rows by the million: newest first, found by the number of what they belong to, no names of others loaded."""

    ordering = ["-pk"]


class WithPageAdmin(ReadOnlyAdmin):
    """With a column `page`: a link from the review to the page of the thing."""

    @admin.display(description="page")
    def page(self, row: Any) -> SafeString:
        return link_to_page(row)


def link_to_page(row: Any) -> SafeString:
    return format_html('<a href="{}">Open</a>', row.get_absolute_url())
