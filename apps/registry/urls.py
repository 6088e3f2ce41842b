from django.urls import path

from apps.registry import views

app_name = "registry"
urlpatterns = [
    path("", views.index, name="index"),
    path("base/new/", views.add_base_model, name="add_base_model"),
    path("variants/", views.variants, name="variants"),
    path("variants/<int:pk>/", views.variant, name="variant"),
    path("<int:pk>/", views.model, name="model"),
    path("<int:pk>/download/", views.download, name="download"),
]
