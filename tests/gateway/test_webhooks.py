"""Messages to real receivers, read by the openai client's own verification."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest
from django.utils import timezone
from openai import InvalidWebhookSignatureError

from apps.gateway.models import WebhookDelivery, WebhookEndpoint
from apps.gateway.services.webhooks import deliveries_send
from apps.gateway.signatures import signature
from apps.labeling.services.sessions import session_close, session_pause
from apps.labeling.services.settling import sessions_settle
from tests.gateway.conftest import MODEL, chats, finish_training
from tests.labeling.worlds import label_next, make_session


class Receiver:
    """Keeps what it is sent, and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append((dict(self.headers), body))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    settings.FTPORTAL_ALLOW_PRIVATE_URLS = True
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


EVENTS = ["fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled"]


@pytest.fixture
def hook(client, receiver):
    return client.webhooks.create(name="Our hook", url=receiver.url, event_types=EVENTS)


def test_a_message_is_accepted_by_the_clients_own_verification(client, hook, receiver, upload):
    job = client.fine_tuning.jobs.create(model=MODEL, training_file=upload(chats(12)).id)
    finish_training(job.id)
    client.fine_tuning.jobs.retrieve(job.id)

    assert deliveries_send() == 1

    ((headers, body),) = receiver.received
    event = client.webhooks.unwrap(body, headers, secret=hook.signing_secret)
    assert (event.type, event.data.id) == ("fine_tuning.job.succeeded", job.id)
    with pytest.raises(InvalidWebhookSignatureError):
        client.webhooks.unwrap(body + b" ", headers, secret=hook.signing_secret)
    delivery = WebhookDelivery.objects.get()
    assert (delivery.attempts, delivery.status_code, delivery.next_at) == (1, 200, None)


def test_each_end_is_told_to_those_who_listen_for_it(client, receiver, upload):
    client.webhooks.create(name="failures", url=receiver.url, event_types=["fine_tuning.job.failed"])
    cancelled = client.fine_tuning.jobs.create(model=MODEL, training_file=upload(chats(12)).id)
    client.fine_tuning.jobs.cancel(cancelled.id)
    client.fine_tuning.jobs.retrieve(cancelled.id)
    client.fine_tuning.jobs.create(model=MODEL, training_file=upload(chats(5)).id)

    deliveries_send()

    assert [json.loads(body)["type"] for _, body in receiver.received] == ["fine_tuning.job.failed"]


def test_what_is_not_taken_is_sent_again_later_with_the_same_id(client, hook, receiver, upload):
    receiver.status = 500
    client.fine_tuning.jobs.create(model=MODEL, training_file=upload(chats(5)).id)
    assert deliveries_send() == 0
    assert deliveries_send() == 0, "not before its pause is over"
    assert len(receiver.received) == 1

    receiver.status = 204
    WebhookDelivery.objects.update(next_at=timezone.now() - timedelta(seconds=1))
    assert deliveries_send() == 1

    ids = [headers["webhook-id"] for headers, _ in receiver.received]
    assert ids[0] == ids[1]


def test_it_is_given_up_after_a_day_of_tries(client, hook, receiver, upload):
    receiver.status = 500
    client.fine_tuning.jobs.create(model=MODEL, training_file=upload(chats(5)).id)
    for _ in range(12):
        WebhookDelivery.objects.exclude(next_at=None).update(next_at=timezone.now() - timedelta(seconds=1))
        deliveries_send()

    delivery = WebhookDelivery.objects.get()
    assert (delivery.attempts, delivery.next_at, delivery.delivered_at) == (9, None, None)


def test_endpoints_are_managed_as_the_client_does_it(client, hook, receiver):
    assert hook.signing_secret.startswith("whsec_")
    assert client.webhooks.retrieve(hook.id).url == receiver.url
    assert [each.id for each in client.webhooks.list()] == [hook.id]
    assert client.webhooks.update(hook.id, name="Renamed").name == "Renamed"
    tested = client.webhooks.test(hook.id, event_type="fine_tuning.job.succeeded")
    assert (tested.status_code, tested.success) == (200, True)
    headers, body = receiver.received[-1]
    client.webhooks.unwrap(body, headers, secret=hook.signing_secret)
    assert client.webhooks.delete(hook.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.webhooks.retrieve(hook.id)


def test_a_secret_can_be_changed_while_the_old_one_is_still_known(client, hook, receiver):
    new = client.webhooks.rotate_secret(hook.id, keep_old_secret_active_for_24_hours=True)
    client.webhooks.test(hook.id, event_type="fine_tuning.job.failed")
    headers, body = receiver.received[-1]
    for secret in (hook.signing_secret, new.signing_secret):
        client.webhooks.unwrap(body, headers, secret=secret)

    newer = client.webhooks.rotate_secret(hook.id)
    client.webhooks.test(hook.id, event_type="fine_tuning.job.failed")
    headers, body = receiver.received[-1]
    client.webhooks.unwrap(body, headers, secret=newer.signing_secret)
    with pytest.raises(InvalidWebhookSignatureError):
        client.webhooks.unwrap(body, headers, secret=new.signing_secret)


def test_the_secret_does_not_stand_readable_in_the_database(hook):
    assert hook.signing_secret not in WebhookEndpoint.objects.get().secret


def test_an_address_in_the_own_network_is_refused(client, settings):
    settings.FTPORTAL_ALLOW_PRIVATE_URLS = False
    for url in ("http://example.org/hook", "ftp://example.org", "https://user:pass@example.org/"):
        with pytest.raises(openai.BadRequestError):
            client.webhooks.create(name="x", url=url, event_types=EVENTS)
    hook = client.webhooks.create(name="x", url="https://127.0.0.1/hook", event_types=EVENTS)

    with pytest.raises(openai.APIStatusError) as refused:
        client.webhooks.test(hook.id, event_type="fine_tuning.job.failed")
    assert refused.value.code == "webhook_unreachable"


def test_a_signature_is_that_of_the_published_scheme():
    """The example of the Standard Webhooks specification, as its reference libraries test it."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = '{"test": 2432232314}'

    found = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_sessions_of_labeling_tell_what_happens_to_them(client, receiver, project, people):
    events = ["labeling.session.opened", "labeling.session.all_labeled", "labeling.session.closed"]
    client.webhooks.create(name="labeling", url=receiver.url, event_types=events)
    session = make_session(project, people.lea, rows=2, everyone=True, overlap=1)
    for _ in range(2):
        label_next(session, people.ben)
    sessions_settle()
    session_pause(session=session, actor=people.lea)
    session_close(session=session, actor=people.lea)

    deliveries_send()

    told = [json.loads(body) for _, body in receiver.received]
    assert sorted(each["type"] for each in told) == sorted(events)
    (labeled,) = [each["data"] for each in told if each["type"] == "labeling.session.all_labeled"]
    assert labeled == {"session": session.pk, "name": session.name, "items": 2}
    assert "refund" not in json.dumps(told), "labels stay here"
