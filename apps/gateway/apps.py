from django.apps import AppConfig
from django.db.models.signals import post_save


class GatewayConfig(AppConfig):
    name = "apps.gateway"
    label = "gateway"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.audit.models import AuditEvent
        from apps.gateway.services.session_events import session_event_announce

        post_save.connect(session_event_announce, sender=AuditEvent, dispatch_uid="gateway.session_events")
