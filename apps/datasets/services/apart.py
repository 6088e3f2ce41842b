"""Progress of work that is one long transaction."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from django.db import connection

from apps.operations.progress import Progress


@contextmanager
def reporting_apart(progress: Progress) -> Iterator[Callable[..., None]]:
    """A `progress.report` on a connection of its own.

    Written inside the transaction, progress would be seen by nobody before its end, and its lock would keep a
    request to cancel waiting. Raises in the caller what `progress.report` raises.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="progress") as thread:

        def report(done: int | None = None, **fields: object) -> None:
            thread.submit(partial(progress.report, done, **fields)).result()  # type: ignore[arg-type]

        try:
            yield report
        finally:
            thread.submit(_close).result()


def _close() -> None:
    connection.close()  # that of the thread it runs in
