from django.contrib import admin
from django.utils.safestring import SafeString

from apps.core.admin import ReadOnlyAdmin, link_to_page
from apps.labeling.models import Guideline, Resolution, Review, Session, Submission


@admin.register(Guideline)
class GuidelineAdmin(ReadOnlyAdmin):
    list_display = ["name", "project", "created_by", "created_at"]
    list_filter = ["project"]
    search_fields = ["name"]
    list_select_related = ["project__workspace", "created_by"]


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    list_display = [
        "name",
        "project",
        "state",
        "item_count",
        "seat_count",
        "created_by",
        "created_at",
        "page",
    ]
    list_filter = ["state", "is_pilot", "project"]
    search_fields = ["name"]
    list_select_related = ["project__workspace", "created_by"]

    @admin.display(description="page")
    def page(self, session: Session) -> SafeString:
        return link_to_page(session)


@admin.register(Submission)
class SubmissionAdmin(ReadOnlyAdmin):
    list_display = ["pk", "session", "item", "user", "state", "seconds", "guideline_version", "created_at"]
    list_filter = ["state"]
    list_select_related = ["session", "item", "user", "guideline_version__guideline"]


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    list_display = ["submission", "reviewer", "verdict", "reason", "created_at"]
    list_filter = ["verdict"]
    list_select_related = ["submission", "reviewer"]


@admin.register(Resolution)
class ResolutionAdmin(ReadOnlyAdmin):
    list_display = ["item", "provenance", "cause", "decided_by", "created_at", "replaced_at"]
    list_filter = ["provenance", "cause"]
    list_select_related = ["item", "decided_by"]
