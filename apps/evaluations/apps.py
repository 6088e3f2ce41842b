from django.apps import AppConfig

from apps.datasets.plugs import plug_in_answer_form, plug_in_held_out
from apps.jobs.plugs import plug_in_evidence
from apps.providers.plugs import plug_in_use


class EvaluationsConfig(AppConfig):
    name = "apps.evaluations"
    label = "evaluations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.evaluations.connection_uses import comparisons_over, recordings_over
        from apps.evaluations.data_checks import form_of, suites_of
        from apps.evaluations.job_evidence import evidence_of

        plug_in_held_out(suites_of)
        plug_in_answer_form(form_of)
        plug_in_evidence(evidence_of)
        plug_in_use(comparisons_over)
        plug_in_use(recordings_over)
