"""Review of data in the admin: everything is read-only, frozen or not."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core.admin import ReadOnlyAdmin, RowAdmin, WithPageAdmin
from apps.datasets.models import (
    Change,
    ChangeRow,
    CheckPart,
    CheckReport,
    Dataset,
    Decision,
    Example,
    ExampleFacts,
    Finding,
    FindingRow,
    Import,
    ImportProblem,
    ImportRow,
    SavedFilter,
    SavedMapping,
    Upload,
    Version,
    VersionDiff,
    VersionRow,
)


@admin.register(Dataset)
class DatasetAdmin(WithPageAdmin):
    list_display = ["name", "project", "example_count", "created_by", "created_at", "page"]
    list_filter = ["project__workspace"]
    search_fields = ["name", "description", "project__name"]
    list_select_related = ["project__workspace", "created_by"]


@admin.register(Import)
class ImportAdmin(WithPageAdmin):
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
class ExampleAdmin(WithPageAdmin):
    list_display = ["pk", "dataset", "line", "content_hash", "created_at", "page"]
    search_fields = ["=content_hash"]
    list_select_related = ["dataset__project__workspace"]
    fields = ["dataset", "source", "line", "content_hash", "payload", "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Example]:
        return super().get_queryset(request).defer("raw", "text", "words")


@admin.register(Version)
class VersionAdmin(WithPageAdmin):
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
class ChangeAdmin(WithPageAdmin):
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
class CheckReportAdmin(WithPageAdmin):
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


@admin.register(CheckPart)
class CheckPartAdmin(RowAdmin):
    list_display = ["report_id", "number", "first", "last"]
    search_fields = ["=report__pk"]


@admin.register(Finding)
class FindingAdmin(WithPageAdmin):
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


@admin.register(SavedFilter)
class SavedFilterAdmin(ReadOnlyAdmin):
    list_display = ["name", "dataset", "query", "created_by", "created_at"]
    search_fields = ["name", "query", "dataset__name"]
    list_select_related = ["dataset", "created_by"]


@admin.register(SavedMapping)
class SavedMappingAdmin(ReadOnlyAdmin):
    list_display = ["name", "project", "created_by", "created_at"]
    list_filter = ["project__workspace"]
    search_fields = ["name", "project__name"]
    list_select_related = ["project", "created_by"]


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = ["file_name", "project", "received", "size", "created_by", "updated_at"]
    list_filter = ["project__workspace"]
    search_fields = ["file_name", "created_by__email"]
    list_select_related = ["project", "created_by"]


@admin.register(VersionDiff)
class VersionDiffAdmin(ReadOnlyAdmin):
    list_display = ["before", "after", "created_at"]
    list_select_related = ["before__dataset", "after__dataset"]
    fields = ["before", "after", "stamp", "summary", "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[VersionDiff]:
        return super().get_queryset(request).defer("added", "removed", "changed_from", "changed_to", "moved")


@admin.register(VersionRow)
class VersionRowAdmin(RowAdmin):
    list_display = [
        "version",
        "position",
        "split",
        "example_id",
        "token_count",
        "answer_token_count",
        "group",
    ]
    list_filter = ["split"]
    search_fields = ["=version__pk", "=example__pk"]
    list_select_related = ["version__dataset"]


@admin.register(ChangeRow)
class ChangeRowAdmin(RowAdmin):
    list_display = ["change_id", "before_id", "after_id"]
    search_fields = ["=change__pk", "=before__pk", "=after__pk"]


@admin.register(FindingRow)
class FindingRowAdmin(RowAdmin):
    list_display = ["finding", "item", "example_id", "note", "keep", "decided"]
    search_fields = ["=finding__pk", "=example__pk"]
    list_select_related = ["finding"]


@admin.register(ImportRow)
class ImportRowAdmin(RowAdmin):
    list_display = ["import_record", "line", "split", "content_hash"]
    search_fields = ["=import_record__pk", "=content_hash"]
    list_select_related = ["import_record"]
    fields = ["import_record", "line", "split", "content_hash", "payload"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportRow]:
        return super().get_queryset(request).defer("raw", "text")


@admin.register(ExampleFacts)
class ExampleFactsAdmin(RowAdmin):
    list_display = ["example_id", "facts_version", "language", "turns", "tokens", "answer_tokens"]
    search_fields = ["=example__pk"]
    list_filter = ["facts_version"]
    exclude = ["word_signature", "character_signature"]
    raw_id_fields = ["example"]
