from django.contrib import admin
from django.utils.safestring import SafeString

from apps.core.admin import ReadOnlyAdmin, link_to_page
from apps.evaluations.models import Comparison, Run, Suite


@admin.register(Suite)
class SuiteAdmin(ReadOnlyAdmin):
    list_display = ["name", "project", "kind", "item_count", "hash", "created_by", "created_at", "page"]
    list_filter = ["kind", "project"]
    search_fields = ["name", "hash"]
    list_select_related = ["project__workspace", "created_by"]

    @admin.display(description="page")
    def page(self, suite: Suite) -> SafeString:
        return link_to_page(suite)


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ["suite", "variant", "answered", "failed", "asking_seconds", "finished_at"]
    list_select_related = ["suite", "variant"]
    exclude = ["metrics"]


@admin.register(Comparison)
class ComparisonAdmin(ReadOnlyAdmin):
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

    @admin.display(description="page")
    def page(self, comparison: Comparison) -> SafeString:
        return link_to_page(comparison)
