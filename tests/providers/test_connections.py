import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.errors import ConflictError
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from apps.providers import plugs
from apps.providers.catalogue import CATALOGUE, connectable
from apps.providers.connection_settings import SettingError
from apps.providers.contracts import ProviderRejectedError
from apps.providers.models import Connection
from apps.providers.opening import ConnectionRemovedError, adapter_for, adapters_forget
from apps.providers.registry import PROVIDERS, provider_class
from apps.providers.services import (
    connection_change,
    connection_check,
    connection_check_start,
    connection_create,
    connection_remove,
)
from tests.providers.sketch import GOOD_KEY

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    adapters_forget()


def make(workspace, by, **changes):
    given = {"provider": "sketch", "name": "Sketch", "settings": {}, "secrets": {"api_key": GOOD_KEY}}
    return connection_create(workspace=workspace, by=by, **(given | changes))


def change(connection, by, **changes):
    given = {"name": connection.name, "settings": dict(connection.settings), "secrets": {}}
    return connection_change(connection=connection, by=by, **(given | changes))


# --- Making and changing --------------------------------------------------------------------------------------------


def test_secrets_are_sealed_and_recorded_nowhere(sketch, workspace, people):
    made = make(workspace, people.ann, secrets={"api_key": GOOD_KEY, "signature": "s1"})
    stored = Connection.objects.get()
    assert GOOD_KEY not in stored.sealed_secrets
    assert stored.secrets() == {"api_key": GOOD_KEY, "signature": "s1"}
    assert stored.settings == {"base_url": "https://sketch.example/v1"}
    event = AuditEvent.objects.get(action="connection.created")
    assert (event.actor, event.target_id) == (people.ann, str(made.pk))
    assert GOOD_KEY not in f"{event.before} {event.after} {event.data}"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"secrets": {}}, "api_key"),
        ({"name": " "}, "name"),
        ({"settings": {"region": "west"}}, "region"),
        ({"settings": {"colour": "red"}}, "colour"),
        ({"settings": {"base_url": "http://sketch.example"}}, "base_url"),
        ({"settings": {"base_url": "https://me:pass@sketch.example"}}, "base_url"),
        ({"secrets": {"api_key": GOOD_KEY, "base_url": "https://sketch.example"}}, "base_url"),
        ({"secrets": {"api_key": "x" * 20_001}}, "api_key"),
    ],
)
def test_what_is_missing_or_odd_is_refused_with_its_field(sketch, workspace, people, changes, field):
    with pytest.raises(SettingError) as refused:
        make(workspace, people.ann, **changes)
    assert refused.value.field == field
    assert not Connection.objects.exists()


def test_http_is_taken_where_the_operator_allows_own_addresses(sketch, workspace, people, settings):
    settings.FTPORTAL_ALLOW_PRIVATE_URLS = True
    made = make(workspace, people.ann, settings={"base_url": "http://127.0.0.1:9/v1"})
    assert adapter_for(made).allow_private is True


def test_a_name_is_taken_once_among_those_that_stand(sketch, workspace, people):
    first = make(workspace, people.ann)
    with pytest.raises(SettingError) as refused:
        make(workspace, people.ann)
    assert refused.value.field == "name"
    connection_remove(connection=first, by=people.ann)
    make(workspace, people.ann)


def test_an_empty_secret_keeps_the_stored_one(sketch, workspace, people):
    made = make(workspace, people.ann, secrets={"api_key": GOOD_KEY, "signature": "s1"})
    changed = change(made, people.ann, name="Other", secrets={"api_key": "", "signature": "s2"})
    assert changed.secrets() == {"api_key": GOOD_KEY, "signature": "s2"}
    event = AuditEvent.objects.get(action="connection.changed")
    assert event.data == {"new_secrets": ["signature"], "forgotten": []}
    assert "s2" not in f"{event.before} {event.after}"


def test_a_secret_that_is_not_needed_can_be_deleted(sketch, workspace, people):
    made = make(workspace, people.ann, secrets={"api_key": GOOD_KEY, "signature": "s1"})
    assert change(made, people.ann, forget=["signature"]).secrets() == {"api_key": GOOD_KEY}


def test_a_stored_key_is_not_carried_to_another_server(sketch, workspace, people):
    made = make(workspace, people.ann)
    elsewhere = {"base_url": "https://elsewhere.example/v1"}
    with pytest.raises(SettingError) as refused:
        change(made, people.ann, settings=elsewhere)
    assert refused.value.field == "api_key"
    assert Connection.objects.get().settings == {"base_url": "https://sketch.example/v1"}
    changed = change(made, people.ann, settings=elsewhere, secrets={"api_key": "sk-new"})
    assert changed.secrets() == {"api_key": "sk-new"}
    same_server = change(changed, people.ann, settings={"base_url": "https://elsewhere.example/v2"})
    assert same_server.secrets() == {"api_key": "sk-new"}


def test_what_was_seen_before_a_change_no_longer_counts(sketch_connection, people):
    assert sketch_connection.reachable is True
    changed = change(sketch_connection, people.ann, settings={"region": "north"})
    assert (changed.checked_at, changed.reachable, changed.check_message) == (None, None, "")


# --- Removing -------------------------------------------------------------------------------------------------------


def test_removing_deletes_the_keys_and_keeps_the_row(sketch_connection, people):
    connection_remove(connection=sketch_connection, by=people.ann)
    stored = Connection.objects.get()
    assert stored.removed_at is not None
    assert stored.sealed_secrets == ""
    with pytest.raises(ConnectionRemovedError):
        adapter_for(stored)
    with pytest.raises(ConflictError):
        connection_remove(connection=sketch_connection, by=people.ann)


def test_what_is_in_use_is_not_removed(sketch_connection, people, monkeypatch):
    # In the place of the jobs and comparisons that apps above plug in: five that run.
    monkeypatch.setattr(plugs, "_uses", [lambda connection: [f"the job “{n}”" for n in "ABCDE"]])
    with pytest.raises(ConflictError) as refused:
        connection_remove(connection=sketch_connection, by=people.ann)
    assert "the job “A”, the job “B”, the job “C” and 2 more" in refused.value.message
    assert Connection.objects.get().secrets() == {"api_key": GOOD_KEY}


# --- Opening --------------------------------------------------------------------------------------------------------


def test_one_adapter_serves_until_the_connection_changes(sketch_connection, people):
    first = adapter_for(sketch_connection)
    assert adapter_for(Connection.objects.get()) is first
    assert first.given == {
        "base_url": "https://sketch.example/v1",
        "api_key": GOOD_KEY,
        "signature": "",
        "region": "",
    }
    changed = change(sketch_connection, people.ann, settings={"region": "north"})
    second = adapter_for(changed)
    assert second.given["region"] == "north"
    assert adapter_for(sketch_connection) is second, "whoever read the row before gets the newer one, too"
    assert not first.is_closed, "it may be in use"


def test_a_check_does_not_open_a_new_adapter(sketch_connection):
    first = adapter_for(sketch_connection)
    connection_check(connection=sketch_connection)
    assert adapter_for(Connection.objects.get()) is first


def test_threads_share_one_adapter(sketch_connection):
    adapters_forget()
    meet = threading.Barrier(8)
    found = []

    def ask():
        meet.wait()
        found.append(adapter_for(sketch_connection))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert {id(each) for each in found} == {id(adapter_for(sketch_connection))}


def test_a_missing_client_library_is_said(monkeypatch, tmp_path):
    (tmp_path / "an_adapter_without_client.py").write_text("import a_client_that_is_not_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PROVIDERS, "odd", "an_adapter_without_client:Odd")
    with pytest.raises(ProviderRejectedError) as refused:
        provider_class("odd")
    assert refused.value.code == "client_missing"
    assert "a_client_that_is_not_here" in refused.value.message


def test_the_catalogue_calls_providers_what_their_adapters_do():
    listed = {each.name: each.label for each in CATALOGUE if each.name in PROVIDERS}
    assert listed == {name: provider_class(name).label for name in listed}
    assert "openai" in listed


def test_this_installations_own_trainer_needs_no_connection(workspace, people):
    assert "local" not in [each.name for each in connectable()]
    with pytest.raises(SettingError):
        make(workspace, people.ann, provider="local", secrets={})


# --- Looking --------------------------------------------------------------------------------------------------------


def test_a_look_is_stored_and_recorded(sketch_connection):
    assert sketch_connection.checked_at is not None
    assert (sketch_connection.reachable, sketch_connection.authenticated) == (True, True)
    assert sketch_connection.quota == "3 jobs at once"
    assert [model["id"] for model in sketch_connection.offered["trainable"]] == ["draw-large", "draw-small"]
    assert sketch_connection.offered["trainable"][1]["end_of_life"] == "2027-03-01"
    assert AuditEvent.objects.get(action="connection.checked").after == {
        "reachable": True,
        "authenticated": True,
    }


def test_a_refused_key_keeps_the_last_listing(sketch_connection, people):
    changed = change(sketch_connection, people.ann, secrets={"api_key": "sk-wrong"})
    seen = connection_check(connection=changed)
    stored = Connection.objects.get()
    assert (seen.authenticated, stored.authenticated) == (False, False)
    assert stored.check_message == "The key is not known there."
    assert len(stored.offered["trainable"]) == 2


def test_settings_that_make_no_adapter_are_a_message(sketch, workspace, people):
    made = make(workspace, people.ann, settings={"region": "south"})
    connection_check(connection=made)
    made.refresh_from_db()
    assert (made.reachable, made.check_message) == (False, "There is nothing in the south.")


def test_keys_that_another_key_sealed_are_a_message_and_can_be_entered_again(
    sketch_connection, people, settings
):
    settings.FTPORTAL_ENCRYPTION_KEY = "b" * 43 + "="
    adapters_forget()
    connection_check(connection=sketch_connection)
    sketch_connection.refresh_from_db()
    assert "FTPORTAL_ENCRYPTION_KEY" in sketch_connection.check_message
    changed = change(sketch_connection, people.ann, secrets={"api_key": GOOD_KEY})
    assert connection_check(connection=changed).authenticated is True


def test_what_was_seen_over_settings_that_changed_meanwhile_is_not_stored(sketch_connection):
    """Somebody changes the connection while the provider is asked."""
    old = Connection.objects.get()
    Connection.objects.update(updated_at=timezone.now() + timedelta(seconds=5), quota="newer")
    connection_check(connection=old)
    assert Connection.objects.get().quota == "newer"


def test_a_look_runs_in_the_background_once_at_a_time(sketch_connection, people):
    Connection.objects.update(checked_at=None, reachable=None)
    operation = connection_check_start(connection=sketch_connection, by=people.lea)
    assert connection_check_start(connection=sketch_connection, by=people.rob) == operation
    operation_run(operation_id=operation.pk)
    assert Operation.objects.get().state == OperationState.SUCCEEDED
    assert Connection.objects.get().reachable is True
    assert AuditEvent.objects.filter(action="connection.checked").latest("pk").actor == people.lea
