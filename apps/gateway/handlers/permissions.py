"""/v1/fine_tuning/checkpoints/{model}/permissions: which projects may use a checkpoint.

Inside a workspace every project may use every model; what is kept here answers programs that manage such rights.
"""

from typing import Any

import msgspec
from django.db import transaction
from starlette.responses import Response

from apps.audit.services import record
from apps.gateway.calls import Call, reply
from apps.gateway.database import in_thread
from apps.gateway.errors import ApiError, model_not_found, not_found
from apps.gateway.ids import new_id
from apps.gateway.models import CheckpointPermission
from apps.gateway.pagination import listed, page_of
from apps.gateway.served import tuned_model_named
from apps.gateway.shapes import permission_shape

A_PAGE, MOST = 10, 100
MOST_PROJECTS = 100


class PermissionBody(msgspec.Struct):
    project_ids: list[str]


async def create(call: Call) -> Response:
    body = await call.json(PermissionBody)
    return reply(await in_thread(_create, call, body.project_ids))


def _create(call: Call, project_ids: list[str]) -> dict[str, Any]:
    if not 0 < len(project_ids) <= MOST_PROJECTS or any(len(each) > 200 for each in project_ids):
        raise ApiError(f"Name 1 to {MOST_PROJECTS} projects.", code="invalid_value", param="project_ids")
    model = _model(call)
    with transaction.atomic():
        made = [
            CheckpointPermission.objects.create(
                workspace=call.principal.workspace,
                public_id=new_id("cp_"),
                model=model,
                project_id_text=project_id,
            )
            for project_id in project_ids
        ]
        record(
            workspace=call.principal.workspace,
            actor=call.principal.user,
            action="checkpoint_permission.created",
            data={"model": model, "projects": project_ids},
        )
    return listed(made, permission_shape, has_more=False)


def _model(call: Call) -> str:
    name = call.parameters["model"]
    if tuned_model_named(call.principal.workspace, name) is None:
        raise model_not_found(name)
    return name


async def listing(call: Call) -> Response:
    return reply(await in_thread(_listing, call))


def _listing(call: Call) -> dict[str, Any]:
    rows = CheckpointPermission.objects.filter(workspace=call.principal.workspace, model=_model(call))
    if project := call.query.get("project_id"):
        rows = rows.filter(project_id_text=project)
    page, has_more = page_of(rows, call.query, default=A_PAGE, most=MOST)
    return listed(page, permission_shape, has_more=has_more)


async def delete(call: Call) -> Response:
    return reply(await in_thread(_delete, call))


def _delete(call: Call) -> dict[str, Any]:
    public_id = call.parameters["permission_id"]
    with transaction.atomic():
        gone, _ = CheckpointPermission.objects.filter(
            workspace=call.principal.workspace, model=_model(call), public_id=public_id
        ).delete()
        if not gone:
            raise not_found("permission", public_id)
        record(
            workspace=call.principal.workspace,
            actor=call.principal.user,
            action="checkpoint_permission.deleted",
            data={"permission": public_id},
        )
    return {"id": public_id, "object": "checkpoint.permission", "deleted": True}
