"""The Celery application: finds tasks, and lets the pages know which queues are served."""

import os

from celery import Celery
from celery.signals import worker_ready, worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

app = Celery("ftportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def announce_presence(sender: object, **_: object) -> None:
    from apps.operations.presence import start_announcing

    queues = [queue.name for queue in sender.task_consumer.queues]  # type: ignore[attr-defined]
    start_announcing(queues=queues, name=str(sender.hostname))  # type: ignore[attr-defined]


@worker_shutting_down.connect
def withdraw_presence(**_: object) -> None:
    from apps.operations.presence import stop_announcing

    stop_announcing()
