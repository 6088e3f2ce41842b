"""Requests that are sent again with the same Idempotency-Key: done once, answered the same."""

import asyncio
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from starlette.responses import Response

from apps.core.canonical import sha256_hex
from apps.core.encryption import decrypt_text, encrypt_text
from apps.core.errors import PortalError
from apps.gateway.calls import Call, Route
from apps.gateway.database import in_thread
from apps.gateway.errors import ApiError, from_portal
from apps.gateway.models import IdempotentRequest

KEPT = timedelta(hours=24)
GIVEN_UP = timedelta(minutes=10)
"""A request that nobody finished for so long died with its process."""
LONGEST_KEY = 255


async def answered_once(call: Call, route: Route) -> Response:
    """The reply of the first request with this key. Only what succeeded or was refused for good is remembered."""
    key = call.request.headers["idempotency-key"]
    if not 0 < len(key) <= LONGEST_KEY:
        raise ApiError(
            f"An Idempotency-Key has 1 to {LONGEST_KEY} characters.", code="invalid_idempotency_key"
        )
    fingerprint = await _fingerprint(call)
    earlier = await in_thread(_claim, call.principal.key.pk, key, fingerprint)
    if earlier is not None:
        replayed = Response(
            decrypt_text(bytes(earlier.reply).decode()), earlier.status or 200, media_type="application/json"
        )
        replayed.headers["idempotent-replayed"] = "true"
        return replayed
    response: Response | None = None
    try:
        try:
            response = await route.handler(call)
        except PortalError as error:
            raise from_portal(error) from error
    finally:
        # A streamed answer has no body to keep: it can't be told again.
        body = getattr(response, "body", b"")
        if response is None or response.status_code >= 400 or not body:
            await asyncio.shield(in_thread(_forget, call.principal.key.pk, key))
        else:
            await asyncio.shield(
                in_thread(_remember, call.principal.key.pk, key, response.status_code, bytes(body))
            )
    return response


async def _fingerprint(call: Call) -> str:
    """Of the body, too, but for an upload: that is streamed, and read once."""
    line = f"{call.request.method} {call.request.url.path}\n".encode()
    upload = call.request.headers.get("content-type", "").startswith("multipart/")
    return sha256_hex(line if upload else line + await call.content())


def _claim(api_key_id: int, key: str, fingerprint: str) -> IdempotentRequest | None:
    """None: this request is the first. Raises ApiError while the first is being answered."""
    old = timezone.now() - KEPT
    dead = timezone.now() - GIVEN_UP
    IdempotentRequest.objects.filter(api_key_id=api_key_id, key=key, created_at__lt=old).delete()
    IdempotentRequest.objects.filter(
        api_key_id=api_key_id, key=key, status=None, created_at__lt=dead
    ).delete()
    try:
        with transaction.atomic():
            IdempotentRequest.objects.create(api_key_id=api_key_id, key=key, fingerprint=fingerprint)
    except IntegrityError:
        found = IdempotentRequest.objects.filter(api_key_id=api_key_id, key=key).first()
        if found is None or found.status is None:
            raise ApiError(
                "A request with this Idempotency-Key is being answered now.",
                status=409,
                code="idempotency_in_progress",
                retry=True,
                headers={"Retry-After": "1"},
            ) from None
        if found.fingerprint != fingerprint:
            raise ApiError(
                "This Idempotency-Key was used with another request. Use a new key for a new request.",
                status=422,
                code="idempotency_key_reused",
                retry=False,
            ) from None
        return found
    return None


def _remember(api_key_id: int, key: str, status: int, body: bytes) -> None:
    """Encrypted: the reply can hold a secret that is shown once."""
    reply = encrypt_text(body.decode()).encode()
    IdempotentRequest.objects.filter(api_key_id=api_key_id, key=key).update(status=status, reply=reply)


def _forget(api_key_id: int, key: str) -> None:
    IdempotentRequest.objects.filter(api_key_id=api_key_id, key=key).delete()


def idempotent_requests_clear() -> None:
    """Forget what is too old to be sent again."""
    IdempotentRequest.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
