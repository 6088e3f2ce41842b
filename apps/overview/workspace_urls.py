from django.urls import path

from apps.overview import workspace_views as views

app_name = "workspace_home"
urlpatterns = [
    path("", views.projects, name="projects"),
    path("search/", views.search, name="search"),
]
