from django.contrib import admin

from apps.core.admin import WithPageAdmin
from apps.projects.models import Project


@admin.register(Project)
class ProjectAdmin(WithPageAdmin):
    list_display = ["name", "workspace", "base_model", "created_by", "created_at", "page"]
    list_filter = ["workspace"]
    search_fields = ["name", "goal", "slug"]
    list_select_related = ["workspace", "created_by"]
