from django.urls import path

from apps.jobs import data_views, recipe_views, stream, views
from apps.jobs.places import views as place_views
from apps.jobs.recovery import views as recovery_views
from apps.jobs.remote import downloads
from apps.jobs.remote import views as remote_views

app_name = "jobs"
urlpatterns = [
    path("", views.jobs, name="index"),
    path("new/", views.create, name="create"),
    path("new/at-provider/", remote_views.create, name="create_remote"),
    path("new/recipe/<str:trainer>/", recipe_views.recipe, name="recipe"),
    path("compare/", views.compare, name="compare"),
    path("where/", place_views.where, name="where"),
    path("where/take/", place_views.take, name="take"),
    path("from-provider/", recovery_views.archives, name="archives"),
    path("from-provider/<int:pk>/", recovery_views.archive, name="archive"),
    path("from-provider/<int:pk>/bring-in/", recovery_views.bring_in, name="bring_in"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/cancel/", views.cancel, name="cancel"),
    path("<int:pk>/pause/", views.pause, name="pause"),
    path("<int:pk>/resume/", views.resume, name="resume"),
    path("<int:pk>/metrics/", data_views.metrics, name="metrics"),
    path("<int:pk>/metrics.csv", data_views.metrics_csv, name="csv"),
    path("<int:pk>/log.txt", data_views.log, name="log"),
    path("<int:pk>/adapter/", downloads.adapter, name="adapter"),
    path("<int:pk>/stream/", stream.stream, name="stream"),
]
