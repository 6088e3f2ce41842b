"""Telling other programs how jobs ended: signed as the openai client's `webhooks.unwrap` verifies."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit.services import record
from apps.core.encryption import decrypt_text, encrypt_text
from apps.core.outgoing import OutgoingError, checked_url, post
from apps.gateway.ids import new_id
from apps.gateway.models import WebhookDelivery, WebhookEndpoint
from apps.gateway.signatures import new_secret, signature_headers

logger = logging.getLogger(__name__)

PAUSES = (5, 30, 300, 1800, 7200, 18000, 36000, 36000)
"""Seconds after each failed attempt; then it is given up, after about a day."""
OLD_SECRET_HOURS = 24
BATCH = 20
CLAIM_SECONDS = 60


def webhook_create(
    *, workspace: Workspace, name: str, url: str, event_types: Sequence[str], by: User
) -> tuple[WebhookEndpoint, str]:
    """An endpoint and its secret, which is shown once. Raises OutgoingError for an address that may not be called."""
    url = checked_url(url, allow_private=settings.FTPORTAL_ALLOW_PRIVATE_URLS)
    secret = new_secret()
    with transaction.atomic():
        endpoint = WebhookEndpoint.objects.create(
            workspace=workspace,
            public_id=new_id("we_"),
            name=name,
            url=url,
            event_types=list(event_types),
            secret=encrypt_text(secret),
            hint=_hint(secret),
            created_by=by,
        )
        record(
            workspace=workspace,
            actor=by,
            action="webhook.created",
            target=endpoint,
            after={"url": url, "event_types": list(event_types)},
        )
    return endpoint, secret


def _hint(secret: str) -> str:
    return f"whsec_…{secret[-4:]}"


def webhook_update(*, endpoint: WebhookEndpoint, changes: Mapping[str, Any], by: User) -> WebhookEndpoint:
    """`changes` holds name, url and event_types as far as they change."""
    if "url" in changes:
        checked_url(changes["url"], allow_private=settings.FTPORTAL_ALLOW_PRIVATE_URLS)
    before = {name: getattr(endpoint, name) for name in changes}
    if before == dict(changes):
        return endpoint
    with transaction.atomic():
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**changes, updated_at=timezone.now())
        record(
            workspace=endpoint.workspace,
            actor=by,
            action="webhook.changed",
            target=endpoint,
            before=before,
            after=dict(changes),
        )
    endpoint.refresh_from_db()
    return endpoint


def webhook_rotate_secret(*, endpoint: WebhookEndpoint, keep_old: bool, by: User) -> str:
    """A new secret; with `keep_old` the one before signs, too, for a day."""
    secret = new_secret()
    now = timezone.now()
    with transaction.atomic():
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
            secret=encrypt_text(secret),
            hint=_hint(secret),
            old_secret=endpoint.secret if keep_old else "",
            old_secret_until=now + timedelta(hours=OLD_SECRET_HOURS) if keep_old else None,
            updated_at=now,
        )
        record(workspace=endpoint.workspace, actor=by, action="webhook.secret_rotated", target=endpoint)
    endpoint.refresh_from_db()
    return secret


def webhook_delete(*, endpoint: WebhookEndpoint, by: User) -> None:
    """Messages that wait for it are dropped with it."""
    with transaction.atomic():
        record(
            workspace=endpoint.workspace,
            actor=by,
            action="webhook.deleted",
            target=endpoint,
            before={"url": endpoint.url},
        )
        endpoint.delete()


def event_announce(*, workspace: Workspace, event_type: str, data: Mapping[str, Any], key: str) -> None:
    """Queue one message for every endpoint that listens. The same `key` of a type is announced once."""
    for endpoint in WebhookEndpoint.objects.filter(workspace=workspace, event_types__contains=[event_type]):
        event_id = f"evt_{key.rpartition('-')[2]}"
        WebhookDelivery.objects.get_or_create(
            endpoint=endpoint,
            event_id=event_id,
            defaults={
                "event_type": event_type,
                "body": event_body(event_id, event_type, data),
                "next_at": timezone.now(),
            },
        )


def event_body(event_id: str, event_type: str, data: Mapping[str, Any]) -> str:
    """The message as JSON, in the shape of the protocol."""
    return json.dumps(
        {
            "id": event_id,
            "object": "event",
            "created_at": int(time.time()),
            "type": event_type,
            "data": dict(data),
        }
    )


def secrets_of(endpoint: WebhookEndpoint) -> list[str]:
    """What messages are signed with: the present secret, and the one before it while that still holds."""
    secrets = [decrypt_text(endpoint.secret)]
    if endpoint.old_secret and endpoint.old_secret_until and endpoint.old_secret_until > timezone.now():
        secrets.append(decrypt_text(endpoint.old_secret))
    return secrets


def webhook_send(*, endpoint: WebhookEndpoint, event_id: str, body: str) -> int:
    """Send once, and tell the status of the answer. Raises OutgoingError."""
    headers = signature_headers(event_id, int(time.time()), body, secrets_of(endpoint))
    return post(
        endpoint.url,
        body.encode(),
        headers={"Content-Type": "application/json", **headers},
        allow_private=settings.FTPORTAL_ALLOW_PRIVATE_URLS,
    )


def deliveries_send() -> int:
    """Try what is due; how many were taken. No transaction is open while a message is on its way."""
    taken = 0
    for _ in range(BATCH):
        delivery = _claim()
        if delivery is None:
            break
        taken += _try(delivery)
    return taken


def _claim() -> WebhookDelivery | None:
    """The one that is due for longest; nobody else takes it for a while, and then only if this process died."""
    with transaction.atomic():
        delivery = (
            WebhookDelivery.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("endpoint")
            .filter(next_at__lte=timezone.now())
            .order_by("next_at")
            .first()
        )
        if delivery is not None:
            until = timezone.now() + timedelta(seconds=CLAIM_SECONDS)
            WebhookDelivery.objects.filter(pk=delivery.pk).update(next_at=until)
    return delivery


def _try(delivery: WebhookDelivery) -> bool:
    status, error = None, ""
    try:
        status = webhook_send(endpoint=delivery.endpoint, event_id=delivery.event_id, body=delivery.body)
    except OutgoingError as failure:
        error = failure.message
    delivered = status is not None and 200 <= status < 300
    attempts = delivery.attempts + 1
    pause = PAUSES[attempts - 1] if not delivered and attempts <= len(PAUSES) else None
    now = timezone.now()
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        attempts=attempts,
        status_code=status,
        error=error[:300],
        delivered_at=now if delivered else None,
        next_at=now + timedelta(seconds=pause) if pause is not None else None,
        updated_at=now,
    )
    if not delivered:
        logger.warning(
            "webhook.refused", extra={"endpoint": delivery.endpoint_id, "status": status, "error": error}
        )
    return delivered
