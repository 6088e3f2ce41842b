"""Review of data in the admin: everything is read-only, frozen or not."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.core.admin import ReadOnlyAdmin, link_to_page
from apps.datasets.models import (
    Change,
    CheckReport,
    Dataset,
    Decision,
    Example,
    Finding,
    Import,
    ImportProblem,
    Version,
)


class _WithPage(ReadOnlyAdmin):
    @admin.display(description="page")
    def page(self, row: Any) -> SafeString:
        return link_to_page(row)


@admin.register(Dataset)
class DatasetAdmin(_WithPage):
    list_display = ["name", "project", "example_count", "created_by", "created_at", "page"]
    list_filter = ["project__workspace"]
    search_fields = ["name", "description", "project__name"]
    list_select_related = ["project__workspace", "created_by"]


@admin.register(Import)
class ImportAdmin(_WithPage):
    list_display = [
        "file_name",
        "state",
        "dataset",
        "row_count",
        "problem_count",
        "added_count",
        "created_by",
        "created_at",
        "page",
    ]
    list_filter = ["state", "dataset__project__workspace", "keep_duplicates"]
    search_fields = ["file_name", "dataset__name", "blob__sha256", "error"]
    list_select_related = ["dataset__project__workspace", "created_by"]
    date_hierarchy = "created_at"


@admin.register(ImportProblem)
class ImportProblemAdmin(ReadOnlyAdmin):
    list_display = ["import_record", "line", "code", "path", "message", "excerpt"]
    list_filter = ["code"]
    search_fields = ["message", "excerpt", "import_record__file_name"]
    list_select_related = ["import_record"]


@admin.register(Example)
class ExampleAdmin(_WithPage):
    list_display = ["pk", "dataset", "line", "content_hash", "created_at", "page"]
    search_fields = ["=content_hash"]
    list_select_related = ["dataset__project__workspace"]
    fields = ["dataset", "source", "line", "content_hash", "payload", "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Example]:
        return super().get_queryset(request).defer("raw", "text", "words")


@admin.register(Version)
class VersionAdmin(_WithPage):
    list_display = [
        "__str__",
        "state",
        "row_count",
        "train_count",
        "validation_count",
        "test_count",
        "manifest_hash",
        "frozen_at",
        "page",
    ]
    list_filter = ["state", "dataset__project__workspace"]
    search_fields = ["dataset__name", "manifest_hash", "note"]
    list_select_related = ["dataset__project__workspace"]
    date_hierarchy = "created_at"


@admin.register(Change)
class ChangeAdmin(_WithPage):
    list_display = [
        "action",
        "state",
        "dataset",
        "row_count",
        "created_by",
        "created_at",
        "undone_at",
        "page",
    ]
    list_filter = ["action", "state", "dataset__project__workspace"]
    search_fields = ["dataset__name"]
    list_select_related = ["dataset__project__workspace", "created_by"]


@admin.register(CheckReport)
class CheckReportAdmin(_WithPage):
    list_display = [
        "pk",
        "dataset",
        "version",
        "state",
        "row_count",
        "problem_count",
        "created_by",
        "created_at",
        "page",
    ]
    list_filter = ["state", "dataset__project__workspace"]
    list_select_related = ["dataset__project__workspace", "version", "created_by"]
    date_hierarchy = "created_at"


@admin.register(Finding)
class FindingAdmin(_WithPage):
    list_display = ["title", "severity", "check_name", "item_count", "open_count", "report", "page"]
    list_filter = ["severity", "check_name"]
    list_select_related = ["report__dataset__project__workspace", "report__version__dataset"]


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "dataset", "title", "action", "reason", "actor"]
    list_filter = ["action", "dataset__project__workspace"]
    search_fields = ["title", "reason", "actor__email"]
    list_select_related = ["dataset", "actor"]
    date_hierarchy = "created_at"
