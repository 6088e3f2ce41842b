from django.urls import path

from apps.operations import views

app_name = "operations"
urlpatterns = [
    path("", views.operations, name="list"),
    path("stream", views.stream, name="stream"),
    path("<int:pk>/cancel/", views.cancel, name="cancel"),
]
