"""The live part of a job's page as server-sent events.

`metrics` carries the number of the newest stored event: the page fetches what it lacks. A message without a name is
HTML for the parts of the page that changed. `end` follows the last of them. A message on Redis wakes the stream;
without Redis it looks every few seconds by itself.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import redis
from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string

from apps.accounts.permissions import Permission
from apps.jobs.models import TrainingJob
from apps.jobs.selectors import job_details
from apps.jobs.services import SUBJECT_TYPE
from apps.jobs.views import page_context
from apps.operations.live import async_client, channel_of_subject
from apps.projects.access import ProjectRequest, project_view
from apps.projects.models import Project

POLL_SECONDS = 3.0
HEARTBEAT_SECONDS = 15.0
QUIET_SECONDS = 0.5
"""At most one look at the database in this time, however much happens."""
STREAM_SECONDS = 1800
"""A stream ends after this long and the browser opens the next: nothing is held for ever."""
FRAGMENTS = ("job-status", "job-checkpoints", "job-facts", "job-log")


@project_view(Permission.VIEW)
def stream(request: ProjectRequest, pk: int) -> HttpResponseBase:
    get_object_or_404(TrainingJob.objects.only("pk"), project=request.project, pk=pk)
    may_train = request.membership.allows(Permission.TRAIN)
    response = StreamingHttpResponse(
        _events(request.project, pk, may_train=may_train), content_type="text/event-stream"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


@dataclass
class _Seen:
    """What this viewer has been told."""

    events: int = -1
    fragments: dict[str, str] = field(default_factory=dict)


async def _events(project: Project, job_id: int, *, may_train: bool) -> AsyncIterator[str]:
    # The view's own connection goes back to the pool now, not when the stream ends.
    await sync_to_async(close_old_connections)()
    seen, loop = _Seen(), asyncio.get_running_loop()
    ends_at, spoke_at = loop.time() + STREAM_SECONDS, loop.time()
    wake = _Wake(channel_of_subject(SUBJECT_TYPE, job_id))
    yield "retry: 3000\n\n"
    try:
        await wake.start()
        while loop.time() < ends_at:
            messages, ended = await _in_thread(_look, project, job_id, seen, may_train)
            for message in messages:
                spoke_at = loop.time()
                yield message
            if ended:
                yield _message("ended", event="end")
                return
            if loop.time() - spoke_at > HEARTBEAT_SECONDS:
                spoke_at = loop.time()
                yield ": still here\n\n"
            await asyncio.sleep(QUIET_SECONDS)
            await wake.wait(POLL_SECONDS)
    finally:
        await wake.stop()


def _look(project: Project, job_id: int, seen: _Seen, may_train: bool) -> tuple[list[str], bool]:
    """What changed since the last look, and whether the job has ended."""
    job = job_details(project).get(pk=job_id)
    messages = []
    if job.events_seen != seen.events or not job.is_active:
        # Also at the end, when nothing new may have come: so that the chart learns that nothing more will.
        seen.events = job.events_seen
        messages.append(_message(str(job.events_seen - 1), event="metrics", id=str(job.events_seen - 1)))
    context = page_context(job) | {
        "workspace": project.workspace,
        "project": project,
        "may": {"train": may_train},
    }
    changed = []
    for name in FRAGMENTS:
        html = render_to_string(f"jobs/detail.html#{name}", context)
        if seen.fragments.get(name) != html:
            seen.fragments[name] = html
            changed.append(f'<hx-partial hx-target="#{name}" hx-swap="outerMorph">{html}</hx-partial>')
    if changed:
        messages.append(_message("\n".join(changed)))
    return messages, not job.is_active


def _message(data: str, *, event: str = "", id: str = "") -> str:
    lines = [f"event: {event}"] if event else []
    if id:
        lines.append(f"id: {id}")
    lines += [f"data: {line}" for line in data.splitlines() or [""]]
    return "\n".join(lines) + "\n\n"


async def _in_thread(function: Any, *arguments: Any) -> Any:
    """Run a database read in the shared thread pool; its connection goes straight back to the pool."""

    def call() -> Any:
        try:
            return function(*arguments)
        finally:
            connection.close()

    return await asyncio.get_running_loop().run_in_executor(None, call)


class _Wake:
    """Waits for a message on a Redis channel, or for a time if Redis is away."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._client = async_client()
        self._pubsub = self._client.pubsub()
        self._connected = False

    async def start(self) -> None:
        try:
            await self._pubsub.subscribe(self._channel)
            self._connected = True
        except redis.RedisError:
            self._connected = False

    async def wait(self, seconds: float) -> None:
        if not self._connected:
            await asyncio.sleep(seconds)
            await self.start()
            return
        try:
            if await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=seconds) is None:
                return
            while await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=0):
                pass  # one look answers them all
        except redis.RedisError:
            self._connected = False

    async def stop(self) -> None:
        try:
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]
            await self._client.aclose()
        except redis.RedisError:
            return
