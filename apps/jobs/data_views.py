"""What a job reported, as data: points for the chart, everything as CSV, the log."""

from collections.abc import Iterable, Iterator

from django.db import connection
from django.http import JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404

from apps.accounts.permissions import Permission
from apps.artifacts.storage import blob_read
from apps.core.http import stream_download
from apps.jobs.curves import curve
from apps.jobs.directories import job_directory
from apps.jobs.models import MetricPoint, TrainingJob
from apps.projects.access import ProjectRequest, project_view

CSV_COLUMNS = (
    "seq", "kind", "step", "epoch", "tokens", "seconds", "loss", "learning_rate", "grad_norm", "tokens_per_second",
    "token_accuracy", "reward_accuracy", "reward_margin",
)  # fmt: skip


@project_view(Permission.VIEW)
def metrics(request: ProjectRequest, pk: int) -> JsonResponse:
    """?after=last_id gives what came since then; ?from=…&to=… a stretch of steps in more detail."""
    job = get_object_or_404(TrainingJob.objects.defer("log_tail"), project=request.project, pk=pk)
    answer = curve(
        job,
        after=_number(request, "after"),
        start=_number(request, "from"),
        end=_number(request, "to"),
    )
    response = JsonResponse(answer)
    response.headers["Cache-Control"] = "no-store"
    return response


def _number(request: ProjectRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None


@project_view(Permission.VIEW)
def metrics_csv(request: ProjectRequest, pk: int) -> HttpResponseBase:
    job = get_object_or_404(TrainingJob, project=request.project, pk=pk)
    return stream_download(
        request,
        _csv(job),
        filename=f"job-{job.number}-metrics.csv",
        content_type="text/csv; charset=utf-8",
    )


def _csv(job: TrainingJob) -> Iterator[bytes]:
    """Written by the database itself; an unknown value is an empty field."""
    table = MetricPoint._meta.db_table
    query = (
        f"COPY (SELECT {', '.join(CSV_COLUMNS)} FROM {table} WHERE job_id = %s ORDER BY seq)"  # noqa: S608 - own names
        " TO STDOUT WITH (FORMAT csv, HEADER)"
    )
    with connection.cursor() as cursor, cursor.copy(query, [job.pk]) as copy:
        for chunk in copy:
            yield bytes(chunk)


@project_view(Permission.VIEW)
def log(request: ProjectRequest, pk: int) -> HttpResponseBase:
    """The whole log: as stored once the job ended, else as far as it is written; else its stored tail."""
    job = get_object_or_404(TrainingJob.objects.select_related("log"), project=request.project, pk=pk)
    live = job_directory(job.pk) / "log.txt"
    content: Iterable[bytes]
    if job.log is not None:
        content = blob_read(job.log)
    elif live.is_file():
        content = (live.read_bytes(),)
    else:
        content = (job.log_tail.encode(),)
    return stream_download(
        request, content, filename=f"job-{job.number}-log.txt", content_type="text/plain; charset=utf-8"
    )
