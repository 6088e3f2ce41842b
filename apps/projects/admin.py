from django.contrib import admin
from django.utils.safestring import SafeString

from apps.core.admin import ReadOnlyAdmin, link_to_page
from apps.projects.models import Project


@admin.register(Project)
class ProjectAdmin(ReadOnlyAdmin):
    list_display = ["name", "workspace", "base_model", "created_by", "created_at", "page"]
    list_filter = ["workspace"]
    search_fields = ["name", "goal", "slug"]
    list_select_related = ["workspace", "created_by"]

    @admin.display(description="page")
    def page(self, project: Project) -> SafeString:
        return link_to_page(project)
