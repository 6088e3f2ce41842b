"""A provider's files and jobs as they are stored in a listing, and back. No database."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from apps.providers.contracts import TrainingState
from apps.providers.remote import RemoteFile, RemoteJob

_TIMES = ("created_at", "finished_at")


def file_as_json(file: RemoteFile) -> dict[str, Any]:
    return _stored(asdict(file))


def file_from_json(stored: Mapping[str, Any]) -> RemoteFile:
    return RemoteFile(**_read(stored))


def job_as_json(job: RemoteJob) -> dict[str, Any]:
    """Without the provider's whole reply: a listing of thousands stays small, and the history holds it."""
    return _stored({**asdict(job), "reply": {}, "state": job.state.value})


def job_from_json(stored: Mapping[str, Any]) -> RemoteJob:
    read = _read(stored)
    return RemoteJob(**{**read, "state": TrainingState(read["state"])})


def without_nul(value: Any) -> Any:
    """Postgres keeps no NUL in texts, and programs have put stranger things into file names."""
    return json.loads(json.dumps(value).replace("\\u0000", "\\ufffd"))


def _stored(values: dict[str, Any]) -> dict[str, Any]:
    times = {name: values[name] for name in _TIMES if values.get(name) is not None}
    found: dict[str, Any] = without_nul(values | {name: time.isoformat() for name, time in times.items()})
    return found


def _read(stored: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: stored[name] for name in _TIMES if stored.get(name)}
    return {**stored, **{name: datetime.fromisoformat(time) for name, time in times.items()}}
