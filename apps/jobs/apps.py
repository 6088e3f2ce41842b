from django.apps import AppConfig

from apps.providers.plugs import plug_in_use


class JobsConfig(AppConfig):
    name = "apps.jobs"
    label = "jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.jobs.connection_uses import jobs_over, recoveries_over

        plug_in_use(jobs_over)
        plug_in_use(recoveries_over)
