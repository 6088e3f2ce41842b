from django.apps import AppConfig

from apps.core.recording import plug_in_writer


class AuditConfig(AppConfig):
    name = "apps.audit"
    label = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.audit.services import record

        plug_in_writer(record)
