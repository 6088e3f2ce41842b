from django.urls import path

from apps.datasets import views

app_name = "datasets"
urlpatterns = [
    path("", views.index, name="index"),
    path("upload/", views.upload, name="upload"),
    path("uploads/", views.begin_upload, name="begin_upload"),
    path("uploads/<int:pk>/", views.upload_piece, name="upload_piece"),
    path("fetch/", views.fetch, name="fetch"),
    path("sample/", views.sample, name="sample"),
    path("imports/<int:pk>/", views.report, name="import"),
    path("imports/<int:pk>/mapping/", views.mapping, name="mapping"),
    path("imports/<int:pk>/commit/", views.commit, name="commit"),
    path("imports/<int:pk>/discard/", views.discard, name="discard"),
    path("imports/<int:pk>/check-again/", views.check_again, name="check_again"),
    path("imports/<int:pk>/rejected/", views.rejected_lines, name="rejected_lines"),
    path("imports/<int:pk>/file/", views.original_file, name="original_file"),
    path("datasets/<int:pk>/", views.detail, name="detail"),
    path("datasets/<int:pk>/edit/", views.edit, name="edit"),
    path("datasets/<int:pk>/delete/", views.delete, name="delete"),
    path("datasets/<int:pk>/freeze/", views.freeze, name="freeze"),
    path("rows/<int:pk>/", views.example, name="example"),
    path("versions/<int:pk>/", views.version, name="version"),
    path("versions/<int:pk>/rows/", views.version_rows, name="version_rows"),
    path("versions/<int:pk>/download/<str:split>/", views.download, name="download"),
    path("versions/<int:pk>/export/<str:kind>/", views.export, name="export"),
    path("versions/<int:pk>/dataset/", views.export_dataset, name="export_dataset"),
    path("versions/<int:pk>/manifest/", views.manifest, name="manifest"),
    path("versions/<int:pk>/freeze-again/", views.freeze_again, name="freeze_again"),
    path("versions/<int:pk>/delete/", views.delete_version, name="delete_version"),
]
