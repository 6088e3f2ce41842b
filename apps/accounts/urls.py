from django.urls import path

from apps.accounts import views

app_name = "accounts"
urlpatterns = [
    path("sign-in/", views.sign_in, name="sign_in"),
    path("sign-out/", views.sign_out, name="sign_out"),
    path("join/<str:token>/", views.join, name="join"),
    path("account/", views.account, name="account"),
    path("workspaces/", views.workspaces, name="workspaces"),
]
