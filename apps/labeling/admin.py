from django.contrib import admin

from apps.core.admin import ReadOnlyAdmin, RowAdmin, WithPageAdmin
from apps.labeling.models import (
    Answer,
    Comment,
    Draft,
    DraftRun,
    Flag,
    Guideline,
    GuidelineVersion,
    Item,
    LabelImport,
    Outcome,
    Participant,
    Question,
    Resolution,
    ResolvedAnswer,
    Review,
    Seat,
    Session,
    Skip,
    Submission,
    TimeSpent,
    Unread,
    Unsent,
)


@admin.register(Guideline)
class GuidelineAdmin(ReadOnlyAdmin):
    list_display = ["name", "project", "created_by", "created_at"]
    list_filter = ["project"]
    search_fields = ["name"]
    list_select_related = ["project__workspace", "created_by"]


@admin.register(GuidelineVersion)
class GuidelineVersionAdmin(ReadOnlyAdmin):
    list_display = ["guideline", "number", "change", "note", "created_by", "created_at"]
    list_filter = ["change"]
    search_fields = ["guideline__name", "note"]
    list_select_related = ["guideline", "created_by"]


@admin.register(Session)
class SessionAdmin(WithPageAdmin):
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


@admin.register(ResolvedAnswer)
class ResolvedAnswerAdmin(RowAdmin):
    list_display = ["resolution_id", "question", "value", "taken_from_id"]
    search_fields = ["=resolution__pk", "=question__pk"]
    list_select_related = ["question"]


@admin.register(Question)
class QuestionAdmin(ReadOnlyAdmin):
    list_display = ["title", "key", "kind", "required", "session", "position"]
    list_filter = ["kind"]
    search_fields = ["title", "key", "session__name"]
    list_select_related = ["session"]


@admin.register(Participant)
class ParticipantAdmin(ReadOnlyAdmin):
    list_display = ["user", "session", "is_active", "submitted_count", "skipped_count", "last_submitted_at"]
    list_filter = ["is_active"]
    search_fields = ["user__email", "session__name"]
    list_select_related = ["user", "session"]


@admin.register(Item)
class ItemAdmin(RowAdmin):
    list_display = ["session", "position", "stage", "done", "wanted", "agreement", "open_flags"]
    list_filter = ["stage", "audited"]
    search_fields = ["=session__pk"]
    list_select_related = ["session"]
    raw_id_fields = ["example"]


@admin.register(Seat)
class SeatAdmin(RowAdmin):
    list_display = ["session", "item_id", "number", "state", "user", "held_until"]
    list_filter = ["state"]
    search_fields = ["=session__pk", "=item__pk", "user__email"]
    list_select_related = ["session", "user"]
    exclude = ["token"]


@admin.register(Answer)
class AnswerAdmin(RowAdmin):
    list_display = ["submission_id", "question", "value", "draft_use", "edit_distance"]
    list_filter = ["draft_use"]
    search_fields = ["=submission__pk", "=question__pk"]
    list_select_related = ["question"]


@admin.register(Unsent)
class UnsentAdmin(ReadOnlyAdmin):
    list_display = ["item_id", "user", "saved_at"]
    search_fields = ["=item__pk", "user__email"]
    list_select_related = ["user"]


@admin.register(Skip)
class SkipAdmin(ReadOnlyAdmin):
    list_display = ["item_id", "user", "reason", "created_at"]
    search_fields = ["=item__pk", "user__email", "reason"]
    list_select_related = ["user"]


@admin.register(Flag)
class FlagAdmin(ReadOnlyAdmin):
    list_display = ["item_id", "user", "reason", "created_at", "settled_at", "settled_by"]
    search_fields = ["=item__pk", "user__email", "reason"]
    list_select_related = ["user", "settled_by"]


@admin.register(Comment)
class CommentAdmin(ReadOnlyAdmin):
    list_display = ["item_id", "thread_of", "author", "text", "created_at"]
    search_fields = ["=item__pk", "author__email", "text"]
    list_select_related = ["thread_of", "author"]


@admin.register(Unread)
class UnreadAdmin(ReadOnlyAdmin):
    list_display = ["session", "item_id", "thread_of", "user", "count", "since"]
    search_fields = ["=item__pk", "user__email"]
    list_select_related = ["session", "thread_of", "user"]


@admin.register(DraftRun)
class DraftRunAdmin(ReadOnlyAdmin):
    list_display = ["session", "variant", "state", "draft_count", "failed_count", "created_by", "created_at"]
    list_filter = ["state"]
    list_select_related = ["session", "variant", "created_by"]


@admin.register(Draft)
class DraftAdmin(RowAdmin):
    list_display = ["run_id", "item_id", "text", "error", "created_at"]
    search_fields = ["=run__pk", "=item__pk"]


@admin.register(Outcome)
class OutcomeAdmin(ReadOnlyAdmin):
    list_display = [
        "session",
        "state",
        "row_count",
        "removed_count",
        "pair_count",
        "created_by",
        "created_at",
    ]
    list_filter = ["state"]
    search_fields = ["session__name"]
    list_select_related = ["session", "created_by"]


@admin.register(LabelImport)
class LabelImportAdmin(ReadOnlyAdmin):
    list_display = ["file_name", "format", "session", "state", "label_count", "created_by", "created_at"]
    list_filter = ["state", "format"]
    search_fields = ["file_name", "session__name"]
    list_select_related = ["session", "created_by"]


@admin.register(TimeSpent)
class TimeSpentAdmin(ReadOnlyAdmin):
    list_display = ["session", "user", "use", "count", "seconds"]
    list_filter = ["use"]
    search_fields = ["user__email", "session__name"]
    list_select_related = ["session", "user"]
