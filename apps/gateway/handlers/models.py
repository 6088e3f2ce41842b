"""/v1/models"""

from typing import Any

from starlette.responses import Response

from apps.gateway.calls import Call, reply
from apps.gateway.database import in_thread
from apps.gateway.errors import ApiError, model_not_found
from apps.gateway.models import ModelAlias
from apps.gateway.served import (
    base_model_named,
    base_models_of,
    served_models_of,
    tuned_model_named,
)
from apps.gateway.services.served_models import served_model_delete, served_models_ensure
from apps.gateway.shapes import base_model_shape, served_model_shape


async def listing(call: Call) -> Response:
    return reply(await in_thread(_listing, call))


def _listing(call: Call) -> dict[str, Any]:
    workspace = call.principal.workspace
    served_models_ensure(workspace=workspace)
    aliases = ModelAlias.objects.filter(workspace=workspace).select_related("base_model")
    tuned = served_models_of(workspace).select_related("workspace").order_by("-pk")
    return {
        "object": "list",
        "data": [
            *(base_model_shape(base) for base in base_models_of(workspace)),
            *(base_model_shape(alias.base_model, alias.name) for alias in aliases),
            *(served_model_shape(served) for served in tuned),
        ],
    }


async def retrieve(call: Call) -> Response:
    return reply(await in_thread(_retrieve, call))


def _retrieve(call: Call) -> dict[str, Any]:
    workspace, name = call.principal.workspace, call.parameters["model"]
    served = tuned_model_named(workspace, name)
    if served is not None:
        return served_model_shape(served)
    base = base_model_named(workspace, name)
    if base is None:
        raise model_not_found(name)
    return base_model_shape(base, name)


async def delete(call: Call) -> Response:
    return reply(await in_thread(_delete, call))


def _delete(call: Call) -> dict[str, Any]:
    workspace, name = call.principal.workspace, call.parameters["model"]
    served = tuned_model_named(workspace, name)
    if served is None:
        if base_model_named(workspace, name) is None:
            raise model_not_found(name)
        raise ApiError(
            f"{name} is a base model. Only fine-tuned models can be deleted here.",
            status=403,
            code="insufficient_permissions",
            param="model",
        )
    served_model_delete(served=served, by=call.principal.user)
    return {"id": name, "object": "model", "deleted": True}
