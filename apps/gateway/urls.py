from django.urls import path

from apps.gateway import views

app_name = "gateway"
urlpatterns = [
    path("", views.api, name="api"),
    path("names/<int:pk>/remove/", views.alias_remove, name="alias_remove"),
]
