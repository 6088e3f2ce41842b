from django.contrib import admin

from apps.core.admin import ReadOnlyAdmin, RowAdmin, WithPageAdmin
from apps.evaluations.models import Answer, Comparison, ComparisonBaseline, Run, Suite, SuiteItem


@admin.register(Suite)
class SuiteAdmin(WithPageAdmin):
    list_display = ["name", "project", "kind", "item_count", "hash", "created_by", "created_at", "page"]
    list_filter = ["kind", "project"]
    search_fields = ["name", "hash"]
    list_select_related = ["project__workspace", "created_by"]


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ["suite", "variant", "answered", "failed", "asking_seconds", "finished_at"]
    list_select_related = ["suite", "variant"]
    exclude = ["metrics"]


@admin.register(Comparison)
class ComparisonAdmin(WithPageAdmin):
    list_display = [
        "name",
        "number",
        "project",
        "state",
        "outcome",
        "look",
        "created_by",
        "created_at",
        "page",
    ]
    list_filter = ["state", "outcome", "project"]
    search_fields = ["name", "sentence", "verdict_hash"]
    list_select_related = ["project__workspace", "created_by"]


@admin.register(ComparisonBaseline)
class ComparisonBaselineAdmin(ReadOnlyAdmin):
    list_display = ["comparison", "order", "label", "variant"]
    search_fields = ["label", "comparison__name"]
    list_select_related = ["comparison", "variant"]


@admin.register(SuiteItem)
class SuiteItemAdmin(RowAdmin):
    list_display = ["suite", "position", "expected", "group", "skill"]
    search_fields = ["=suite__pk", "=content_hash"]
    list_filter = ["skill"]
    list_select_related = ["suite"]
    raw_id_fields = ["example"]


@admin.register(Answer)
class AnswerAdmin(RowAdmin):
    list_display = ["run_id", "item_id", "text", "exact", "format_ok", "finish_reason", "seconds", "error"]
    list_filter = ["exact", "format_ok", "finish_reason"]
    search_fields = ["=run__pk", "=item__pk"]
    raw_id_fields = ["run", "item"]
