from django.urls import path

from apps.providers import views

app_name = "providers"
urlpatterns = [
    path("", views.connections, name="connections"),
    path("new/", views.create, name="create"),
    path("prices/", views.prices, name="prices"),
    path("prices/<int:pk>/remove/", views.remove_price, name="remove_price"),
    path("<int:pk>/", views.connection, name="connection"),
    path("<int:pk>/change/", views.change, name="change"),
    path("<int:pk>/check/", views.check, name="check"),
    path("<int:pk>/remove/", views.remove, name="remove"),
]
