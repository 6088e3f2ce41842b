"""/v1/webhook_endpoints"""

import time
from typing import Any

import msgspec
from starlette.responses import Response

from apps.core.outgoing import OutgoingError
from apps.gateway.calls import Call, reply
from apps.gateway.database import in_thread
from apps.gateway.errors import ApiError
from apps.gateway.events import EVENT_TYPES
from apps.gateway.ids import new_id
from apps.gateway.models import WebhookEndpoint
from apps.gateway.pagination import listed, page_of
from apps.gateway.selectors import webhook_get
from apps.gateway.services.webhooks import (
    event_body,
    webhook_create,
    webhook_delete,
    webhook_rotate_secret,
    webhook_send,
    webhook_update,
)
from apps.gateway.shapes import webhook_shape

A_PAGE, MOST = 20, 100
LONGEST_NAME, LONGEST_URL = 120, 2000


class CreateBody(msgspec.Struct):
    name: str
    url: str
    event_types: list[str]


class UpdateBody(msgspec.Struct):
    name: str | None = None
    url: str | None = None
    event_types: list[str] | None = None


class RotateBody(msgspec.Struct):
    keep_old_secret_active_for_24_hours: bool = False


class TestBody(msgspec.Struct):
    event_type: str


def _check(changes: dict[str, Any]) -> dict[str, Any]:
    if "name" in changes and not 0 < len(changes["name"].strip()) <= LONGEST_NAME:
        raise ApiError(f"A name has 1 to {LONGEST_NAME} characters.", code="invalid_value", param="name")
    if "url" in changes and len(changes["url"]) > LONGEST_URL:
        raise ApiError(f"A URL has up to {LONGEST_URL} characters.", code="invalid_value", param="url")
    for event_type in changes.get("event_types", ()):
        _check_event_type(event_type)
    if not changes.get("event_types", True):
        raise ApiError("Name at least one event type.", code="invalid_value", param="event_types")
    return changes


def _check_event_type(event_type: str) -> None:
    if event_type not in EVENT_TYPES:
        raise ApiError(
            f"'{event_type}' does not happen here. Known are: {', '.join(EVENT_TYPES)}.",
            code="invalid_value",
            param="event_types",
        )


async def create(call: Call) -> Response:
    body = await call.json(CreateBody)
    changes = _check({"name": body.name, "url": body.url, "event_types": body.event_types})
    return reply(await in_thread(_create, call, changes))


def _create(call: Call, fields: dict[str, Any]) -> dict[str, Any]:
    try:
        endpoint, secret = webhook_create(
            workspace=call.principal.workspace, by=call.principal.user, **fields
        )
    except OutgoingError as error:
        raise ApiError(error.message, code="invalid_value", param="url") from error
    return webhook_shape(endpoint, secret)


async def listing(call: Call) -> Response:
    return reply(await in_thread(_listing, call))


def _listing(call: Call) -> dict[str, Any]:
    endpoints = WebhookEndpoint.objects.filter(workspace=call.principal.workspace)
    rows, has_more = page_of(endpoints, call.query, default=A_PAGE, most=MOST)
    return listed(rows, webhook_shape, has_more=has_more)


async def retrieve(call: Call) -> Response:
    return reply(webhook_shape(await in_thread(_endpoint, call)))


def _endpoint(call: Call) -> WebhookEndpoint:
    return webhook_get(call.principal.workspace, call.parameters["endpoint_id"])


async def update(call: Call) -> Response:
    body = await call.json(UpdateBody)
    given = {name: getattr(body, name) for name in ("name", "url", "event_types")}
    changes = _check({name: value for name, value in given.items() if value is not None})
    return reply(await in_thread(_update, call, changes))


def _update(call: Call, changes: dict[str, Any]) -> dict[str, Any]:
    try:
        endpoint = webhook_update(endpoint=_endpoint(call), changes=changes, by=call.principal.user)
    except OutgoingError as error:
        raise ApiError(error.message, code="invalid_value", param="url") from error
    return webhook_shape(endpoint)


async def delete(call: Call) -> Response:
    return reply(await in_thread(_delete, call))


def _delete(call: Call) -> dict[str, Any]:
    endpoint = _endpoint(call)
    webhook_delete(endpoint=endpoint, by=call.principal.user)
    return {"id": call.parameters["endpoint_id"], "object": "webhook_endpoint.deleted", "deleted": True}


async def rotate_secret(call: Call) -> Response:
    body = await call.json(RotateBody)
    return reply(await in_thread(_rotate, call, body.keep_old_secret_active_for_24_hours))


def _rotate(call: Call, keep_old: bool) -> dict[str, Any]:
    endpoint = _endpoint(call)
    secret = webhook_rotate_secret(endpoint=endpoint, keep_old=keep_old, by=call.principal.user)
    return webhook_shape(endpoint, secret)


async def test(call: Call) -> Response:
    body = await call.json(TestBody)
    _check_event_type(body.event_type)
    return reply(await in_thread(_test, call, body.event_type))


def _test(call: Call, event_type: str) -> dict[str, Any]:
    """Send a sample now, and tell what the receiver said."""
    endpoint = _endpoint(call)
    event_id = new_id("evt_")
    sample = event_body(event_id, event_type, {"id": f"ftjob-test{int(time.time())}"})
    try:
        status = webhook_send(endpoint=endpoint, event_id=event_id, body=sample)
    except OutgoingError as error:
        raise ApiError(error.message, status=424, code="webhook_unreachable") from error
    return {
        "object": "webhook_endpoint.test",
        "webhook_endpoint_id": endpoint.public_id,
        "event_type": event_type,
        "status_code": status,
        "success": True,
    }
