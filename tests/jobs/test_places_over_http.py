"""From a stored connection to a line of the comparison, over a real client and a server of the OpenAI protocol."""

from collections.abc import Iterator
from datetime import date

import pytest

from apps.jobs.places.finding import places_for
from apps.providers.models import Connection
from apps.providers.opening import adapters_forget
from apps.providers.services import connection_change, connection_check, connection_create
from apps.registry.services import remote_base_model_ensure
from tests.jobs.test_places import frozen
from tests.providers.openai_peer import WRONG_SECRET, OpenAIPeer

pytestmark = pytest.mark.django_db


@pytest.fixture
def peer(settings) -> Iterator[OpenAIPeer]:
    settings.FTPORTAL_ALLOW_PRIVATE_URLS = True
    made = OpenAIPeer()
    made.start()
    yield made
    adapters_forget()
    made.stop()


@pytest.fixture
def connection(peer, workspace, people) -> Connection:
    return connection_create(
        workspace=workspace,
        provider="openai",
        name="Peer",
        settings={"base_url": peer.url},
        secrets={"api_key": peer.secret},
        by=people.ann,
    )


def test_a_working_connection_is_listed_taken_from_and_compared(peer, connection, project, people):
    seen = connection_check(connection=connection)
    assert (seen.reachable, seen.authenticated) == (True, True)
    connection.refresh_from_db()
    assert peer.base_model in [model["id"] for model in connection.offered["served"]]
    base = remote_base_model_ensure(connection=connection, reference=peer.base_model, actor=people.lea)
    found = places_for(frozen(project), objective="supervised", epochs=3, today=date(2026, 11, 22))
    assert found.problems == []
    (place,) = [each for each in found.places if each.reference == peer.base_model]
    assert place.base_model == base
    assert place.losses == [], "its format carries tools"
    assert place.price is None, "what OpenAI asks for is no price of another server"


def test_a_wrong_key_and_a_server_that_is_gone_are_told_apart(peer, connection, people):
    changed = connection_change(
        connection=connection,
        name="Peer",
        settings=dict(connection.settings),
        secrets={"api_key": WRONG_SECRET},
        by=people.ann,
    )
    refused = connection_check(connection=changed)
    assert (refused.reachable, refused.authenticated) == (True, False)
    peer.stop()
    adapters_forget()  # the stopped server still answers over a connection that is open
    gone = connection_check(connection=changed)
    assert (gone.reachable, gone.authenticated) == (False, None)
    changed.refresh_from_db()
    assert WRONG_SECRET not in changed.check_message
