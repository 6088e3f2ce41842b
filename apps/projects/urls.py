from django.urls import path

from apps.projects import views

app_name = "projects"
urlpatterns = [
    path("new/", views.create, name="create"),
    path("p/<slug:project_slug>/settings/", views.settings, name="settings"),
    path("p/<slug:project_slug>/settings/archive/", views.archive, name="archive"),
    path("p/<slug:project_slug>/settings/restore/", views.restore, name="restore"),
]
