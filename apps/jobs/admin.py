from django.contrib import admin

from apps.core.admin import ReadOnlyAdmin, RowAdmin, WithPageAdmin
from apps.jobs.models import (
    Archive,
    Checkpoint,
    MetricPoint,
    RecoveredFiles,
    RecoveredJob,
    TrainingJob,
)


@admin.register(TrainingJob)
class TrainingJobAdmin(WithPageAdmin):
    list_display = [
        "name",
        "project",
        "state",
        "method",
        "best_validation_loss",
        "created_by",
        "created_at",
        "finished_at",
        "page",
    ]
    list_filter = ["state", "method", "project__workspace"]
    search_fields = ["name", "configuration_hash", "project__name", "error"]
    list_select_related = ["project__workspace", "created_by"]
    date_hierarchy = "created_at"


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ["job", "step", "validation_loss", "is_best", "created_at"]
    list_filter = ["is_best"]
    search_fields = ["job__name"]
    list_select_related = ["job"]


@admin.register(MetricPoint)
class MetricPointAdmin(RowAdmin):
    list_display = ["job", "kind", "step", "loss", "learning_rate", "grad_norm", "tokens_per_second"]
    list_filter = ["kind"]
    search_fields = ["=job__pk"]
    list_select_related = ["job"]


@admin.register(Archive)
class ArchiveAdmin(WithPageAdmin):
    list_display = ["connection", "project", "fetched_at", "error", "created_by", "page"]
    list_filter = ["project__workspace"]
    list_select_related = ["connection", "project__workspace", "created_by"]
    exclude = ["files", "jobs", "listed_models"]


@admin.register(RecoveredFiles)
class RecoveredFilesAdmin(ReadOnlyAdmin):
    list_display = ["training_name", "training_file", "project", "state", "version", "error", "created_at"]
    list_filter = ["state", "project__workspace"]
    search_fields = ["training_file", "training_name", "error"]
    list_select_related = ["project", "version__dataset"]


@admin.register(RecoveredJob)
class RecoveredJobAdmin(ReadOnlyAdmin):
    list_display = ["handle", "project", "connection", "state", "job", "error", "created_by", "created_at"]
    list_filter = ["state", "project__workspace"]
    search_fields = ["handle", "error"]
    list_select_related = ["project", "connection", "job", "created_by"]
