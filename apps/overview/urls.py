from django.urls import path

from apps.overview import views

app_name = "overview"
urlpatterns = [
    path("", views.project_overview, name="project"),
    path("uses/versions/<int:pk>/", views.version_uses, name="version_uses"),
    path("uses/rows/<int:pk>/", views.row_uses, name="row_uses"),
]
