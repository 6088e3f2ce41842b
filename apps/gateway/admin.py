from django.contrib import admin

from apps.core.admin import ReadOnlyAdmin
from apps.gateway.models import (
    CheckpointPermission,
    Event,
    File,
    FineTuningJob,
    IdempotentRequest,
    Intake,
    ModelAlias,
    ServedModel,
    StoredCompletion,
    WebhookDelivery,
    WebhookEndpoint,
)


@admin.register(File)
class FileAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "name", "workspace", "purpose", "created_at", "expires_at", "deleted_at")
    list_filter = ("purpose",)
    search_fields = ("public_id", "name")
    list_select_related = ("workspace",)


@admin.register(FineTuningJob)
class FineTuningJobAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "workspace", "model", "state", "suffix", "created_at", "finished_at")
    list_filter = ("state",)
    search_fields = ("public_id", "model", "suffix")
    list_select_related = ("workspace",)


@admin.register(ServedModel)
class ServedModelAdmin(ReadOnlyAdmin):
    list_display = ("name", "workspace", "created_at", "deleted_at")
    search_fields = ("name",)
    list_select_related = ("workspace",)


@admin.register(ModelAlias)
class ModelAliasAdmin(ReadOnlyAdmin):
    list_display = ("name", "workspace", "base_model", "created_at")
    search_fields = ("name",)
    list_select_related = ("workspace", "base_model")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    list_display = ("name", "workspace", "url", "created_at")
    search_fields = ("name", "url")
    list_select_related = ("workspace",)
    exclude = ("secret", "old_secret")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("event_type", "endpoint", "attempts", "status_code", "delivered_at", "next_at")
    list_filter = ("event_type",)
    search_fields = ("event_id",)
    list_select_related = ("endpoint",)


@admin.register(Intake)
class IntakeAdmin(ReadOnlyAdmin):
    list_display = ("training_file", "validation_file", "project", "state", "error", "created_at")
    list_filter = ("state",)
    search_fields = ("training_file__public_id", "training_file__name")
    list_select_related = ("training_file", "validation_file", "project")


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("job", "number", "level", "message", "created_at")
    list_filter = ("level",)
    search_fields = ("job__public_id", "message")
    list_select_related = ("job",)


@admin.register(CheckpointPermission)
class CheckpointPermissionAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "workspace", "model", "project_id_text", "created_at")
    search_fields = ("public_id", "model")
    list_select_related = ("workspace",)


@admin.register(StoredCompletion)
class StoredCompletionAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "workspace", "model", "created_by", "created_at")
    search_fields = ("public_id", "model")
    list_select_related = ("workspace", "created_by")


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(ReadOnlyAdmin):
    """Without the reply: it can hold a secret that was shown once."""

    list_display = ("key", "api_key", "status", "created_at")
    search_fields = ("key",)
    list_select_related = ("api_key",)
    exclude = ("reply",)
