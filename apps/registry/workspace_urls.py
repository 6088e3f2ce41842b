from django.urls import path

from apps.registry import workspace_views as views

app_name = "base_models"
urlpatterns = [path("<int:pk>/models/", views.add, name="add")]
