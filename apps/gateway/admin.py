from django.contrib import admin

from apps.core.admin import ReadOnlyAdmin
from apps.gateway.models import File, FineTuningJob, ModelAlias, ServedModel, WebhookDelivery, WebhookEndpoint


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
