"""What becomes of labels: agreement, review, adjudication, outcome."""

from django.urls import path

from apps.labeling.views import importing, judging, outcomes, results

urlpatterns = [
    path("sessions/<int:pk>/agreement/", results.agreement, name="agreement"),
    path("sessions/<int:pk>/agreement/items/", results.agreement_items, name="agreement_items"),
    path("sessions/<int:pk>/gate/", results.decide_gate, name="decide_gate"),
    path("sessions/<int:pk>/gate/overrule/", results.overrule_gate, name="overrule_gate"),
    path("sessions/<int:pk>/adjudication/", judging.adjudication, name="adjudication"),
    path("sessions/<int:pk>/adjudication/majority/", judging.take_majority, name="take_majority"),
    path("items/<int:pk>/judge/", judging.judge, name="judge"),
    path("items/<int:pk>/set-aside/", judging.set_aside, name="set_aside"),
    path("items/<int:pk>/reopen/", judging.reopen, name="reopen"),
    path("sessions/<int:pk>/review/", judging.review, name="review"),
    path("labels/<int:pk>/accept/", judging.accept_label, name="accept_label"),
    path("labels/<int:pk>/return/", judging.return_label, name="return_label"),
    path("sessions/<int:pk>/outcome/", outcomes.outcome, name="outcome"),
    path("outcomes/<int:pk>/again/", outcomes.repeat, name="repeat_outcome"),
    path("sessions/<int:pk>/labels.jsonl", outcomes.export, name="export_labels"),
    path("sessions/<int:pk>/import/", importing.upload, name="import_labels"),
    path("sessions/<int:pk>/import/<int:import_pk>/", importing.label_import, name="label_import"),
]
