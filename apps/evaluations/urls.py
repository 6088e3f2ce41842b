from django.urls import path

from apps.evaluations.views import answers, comparisons, creating, items, recordings, suites

app_name = "evaluations"
urlpatterns = [
    path("", comparisons.index, name="index"),
    path("new/", creating.create, name="create"),
    path("new/preview/", creating.preview, name="preview"),
    path("answers/", answers.answer_form, name="answer_form"),
    path("recordings/", recordings.recordings, name="recordings"),
    path("recordings/<int:pk>/close/", recordings.close, name="close_recording"),
    path("suites/new/", suites.upload, name="upload_suite"),
    path("suites/general/", suites.add_general, name="add_general_suite"),
    path("suites/<int:pk>/", suites.suite, name="suite"),
    path("<int:pk>/", comparisons.comparison, name="comparison"),
    path("<int:pk>/resume/", comparisons.resume, name="resume"),
    path("<int:pk>/provenance/", comparisons.provenance, name="provenance"),
    path("<int:pk>/items/<int:item_pk>/", items.item, name="item"),
]
