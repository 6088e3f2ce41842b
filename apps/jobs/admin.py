from django.contrib import admin

from apps.core.admin import ReadOnlyAdmin
from apps.jobs.models import TrainingJob


@admin.register(TrainingJob)
class TrainingJobAdmin(ReadOnlyAdmin):
    list_display = ("name", "project", "state", "method", "best_validation_loss", "created_at", "finished_at")
    list_filter = ("state", "method")
    search_fields = ("name", "configuration_hash")
    list_select_related = ("project",)
