from collections.abc import Iterator

import pytest

from apps.providers.remote import RemoteTrainer
from tests.providers.contract.peer import Peer


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    peer: Peer = request.param()
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def adapter(peer: Peer) -> Iterator[RemoteTrainer]:
    adapter = peer.adapter()
    yield adapter
    adapter.close()
