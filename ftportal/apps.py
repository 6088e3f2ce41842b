from django.apps import AppConfig


class CompositionConfig(AppConfig):
    name = "ftportal"

    def ready(self) -> None:
        # Whatever process sends a task must know the broker, so the Celery application is made in all of them.
        from ftportal import celery  # noqa: F401
