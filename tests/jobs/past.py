"""Fixtures: an account with a past at a server of the OpenAI protocol, and ways to bring it in."""

from collections.abc import Callable
from pathlib import Path

import pytest

from apps.jobs.models import Archive, TrainingJob
from apps.jobs.recovery.archives import archive_list_request
from apps.jobs.recovery.recovering import Chosen, archive_bring_in
from tests.jobs.archives import Account, archive_of, work
from tests.providers.openai_peer import OpenAIPeer


@pytest.fixture
def account(peer: OpenAIPeer, tmp_path: Path) -> Account:
    return Account(peer, tmp_path)


@pytest.fixture
def listed(project, connection, people) -> Callable[[], Archive]:
    """`listed()`: the account's listing, as it stands now."""

    def fetch() -> Archive:
        archive_list_request(project=project, connection=connection, by=people.lea)
        work()
        return archive_of(project)

    return fetch


@pytest.fixture
def bring_in(listed, people) -> Callable[..., list[TrainingJob]]:
    """`bring_in(*handles)`: list, choose, work; the training jobs that came of it."""

    def choose(*handles: str, **more) -> list[TrainingJob]:
        archive_bring_in(archive=listed(), chosen=Chosen(jobs=handles, **more), by=people.lea)
        work()
        return list(TrainingJob.objects.order_by("pk"))

    return choose
