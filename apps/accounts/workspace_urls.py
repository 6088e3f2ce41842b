from django.urls import path

from apps.accounts import workspace_views as views

app_name = "workspace"
urlpatterns = [
    path("members/", views.members, name="members"),
    path("members/<int:pk>/role/", views.member_change_role, name="member_change_role"),
    path("members/<int:pk>/remove/", views.member_remove, name="member_remove"),
    path("invitations/<int:pk>/withdraw/", views.invitation_withdraw, name="invitation_withdraw"),
    path("name/", views.rename, name="rename"),
    path("keys/", views.api_keys, name="api_keys"),
    path("keys/<int:pk>/withdraw/", views.api_key_withdraw, name="api_key_withdraw"),
]
