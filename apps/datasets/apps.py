from django.apps import AppConfig
from django.conf import settings


class DatasetsConfig(AppConfig):
    name = "apps.datasets"
    label = "datasets"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.datasets.checks.personal.detection import look_for_names  # noqa: PLC0415 - once Django is set up

        look_for_names(settings.FTPORTAL_FIND_NAMES)
