"""Files as people upload them, and a worker that does what is queued, here and now."""

import json
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.datasets.models import CheckReport, Dataset, Example, Import, Version
from apps.datasets.services import checks_request
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run


def row(asked: str, answer: str = "billing", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **more}


def lines(*rows: Any) -> bytes:
    return b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in rows)


def tickets(count: int, *, answers: Iterable[str] = ("billing", "access", "bug")) -> bytes:
    """`count` different rows whose answers take turns; every three rows share a metadata.wording."""
    names = list(answers)
    return lines(
        *(
            row(f"Ticket {i}: my order is late", names[i % len(names)], metadata={"wording": f"w{i // 3}"})
            for i in range(count)
        )
    )


def url(name: str, project: Any, *more: Any) -> str:
    return reverse(f"datasets:{name}", args=[project.workspace.slug, project.slug, *more])


@pytest.fixture
def work() -> Callable[[], list[Operation]]:
    """Run everything that is queued, in order; return what ran, as it ended."""

    def run() -> list[Operation]:
        done = []
        while operation := Operation.objects.filter(state=OperationState.QUEUED).order_by("pk").first():
            operation_run(operation_id=operation.pk)
            operation.refresh_from_db()
            done.append(operation)
        return done

    return run


@pytest.fixture
def rob(client_of, people) -> Client:
    """The browser of a reviewer, who may edit data."""
    browser: Client = client_of(people.rob)
    return browser


@pytest.fixture
def vic(client_of, people) -> Client:
    """The browser of a viewer."""
    browser: Client = client_of(people.vic)
    return browser


def as_file(content: bytes, name: str = "tickets.jsonl") -> BytesIO:
    file = BytesIO(content)
    file.name = name
    return file


@pytest.fixture
def upload(rob, project, work) -> Callable[..., Import]:
    """Upload through the page as Rob the reviewer and run the check."""

    def send(
        content: bytes, *, name: str = "tickets.jsonl", dataset: Dataset | None = None, **confirm: Any
    ) -> Import:
        """With fields of the mapping in `confirm`, the mapping is confirmed on its page."""
        data: dict[str, Any] = {"file": as_file(content, name)}
        if dataset is not None:
            data["dataset"] = dataset.pk
        response = rob.post(url("upload", project), data)
        assert response.status_code == 302, response.content.decode()[-3000:]
        record = Import.objects.order_by("-pk")[0]
        if confirm:
            mapping_page = url("mapping", project, record.pk)
            assert response["Location"] == mapping_page
            fields = {"check": "1", "shown": confirm["preset"]} | confirm
            response = rob.post(mapping_page, fields)
            assert response.status_code == 302, response.content.decode()[-3000:]
        assert response["Location"] == record.get_absolute_url()
        (operation,) = work()
        assert operation.state == OperationState.SUCCEEDED, operation.error
        record.refresh_from_db()
        return record

    return send


@pytest.fixture
def commit(rob, project, work) -> Callable[..., Import]:
    """Commit through the page and run it."""

    def send(record: Import, *, duplicates: str = "drop") -> Import:
        response = rob.post(url("commit", project, record.pk), {"duplicates": duplicates})
        assert response.status_code == 302, response.content.decode()[-3000:]
        (operation,) = work()
        assert operation.state == OperationState.SUCCEEDED, operation.error
        record.refresh_from_db()
        return record

    return send


@pytest.fixture
def dataset_of(upload, commit) -> Callable[[bytes], Dataset]:
    """A dataset with the rows of a file."""
    return lambda content: commit(upload(content)).dataset


@pytest.fixture
def freeze(rob, project, work) -> Callable[..., Version]:
    """Freeze through the page and run it."""

    def send(dataset: Dataset, **fields: Any) -> Version:
        data = {"train_percent": 80, "validation_percent": 10, "test_percent": 10, "seed": 42} | fields
        response = rob.post(url("freeze", project, dataset.pk), data)
        assert response.status_code == 302, response.content.decode()[-3000:]
        operation, *_ = work()  # the version of a dataset that was checked is checked, too
        assert operation.state == OperationState.SUCCEEDED, operation.error
        return Version.objects.get(dataset=dataset, number=dataset.versions.count())

    return send


def raw_rows(dataset: Dataset) -> list[bytes]:
    return [
        bytes(raw)
        for raw in Example.objects.filter(dataset=dataset).order_by("pk").values_list("raw", flat=True)
    ]


@pytest.fixture
def check(work, people):
    def run(dataset, version=None) -> CheckReport:
        report = checks_request(dataset=dataset, version=version, actor=people.rob)
        (operation,) = work()
        assert operation.state == OperationState.SUCCEEDED, operation.error
        return CheckReport.objects.get(pk=report.pk)

    return run
