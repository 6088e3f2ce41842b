from django.urls import path

from apps.overview import views

app_name = "overview"
urlpatterns = [
    path("", views.project_overview, name="project"),
]
