from django.apps import AppConfig

from apps.audit.plugs import plug_in_listener


class GatewayConfig(AppConfig):
    name = "apps.gateway"
    label = "gateway"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.gateway.services.session_events import session_event_announce

        plug_in_listener(session_event_announce)
