from django.contrib import admin

from apps.core.admin import ReadOnlyAdmin, WithPageAdmin
from apps.registry.models import BaseModel, ModelVersion, Variant


@admin.register(BaseModel)
class BaseModelAdmin(ReadOnlyAdmin):
    list_display = ["name", "workspace", "provider", "reference", "revision", "parameters", "licence"]
    list_filter = ["workspace", "provider"]
    search_fields = ["name", "reference"]
    list_select_related = ["workspace"]


@admin.register(ModelVersion)
class ModelVersionAdmin(WithPageAdmin):
    list_display = ["name", "number", "project", "base_model", "kind", "created_by", "created_at", "page"]
    list_filter = ["kind", "project"]
    search_fields = ["name"]
    list_select_related = ["project__workspace", "base_model", "created_by"]


@admin.register(Variant)
class VariantAdmin(ReadOnlyAdmin):
    list_display = ["name", "project", "base_model", "model_version", "hash", "created_by", "created_at"]
    list_filter = ["project"]
    search_fields = ["name", "hash"]
    list_select_related = ["project", "base_model", "model_version", "created_by"]
