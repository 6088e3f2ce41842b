"""Rows of what stands in a dataset: read, added, edited and removed one by one. Frozen versions stay as they are."""

from django.shortcuts import get_object_or_404
from ninja import P, QueryEx, Router, Status

from apps.accounts.permissions import Permission
from apps.core.api import REFUSALS
from apps.datasets.api.datasets import dataset_in
from apps.datasets.api.schemas import RowIn, RowOut, RowsOut
from apps.datasets.models import Example
from apps.datasets.row_edits import encoded
from apps.datasets.selectors import datasets_of, examples_of, head_of
from apps.datasets.services import row_add, row_edit, row_remove
from apps.projects.access import ProjectRequest
from apps.projects.api import ProjectKey, ProjectPlace

router = Router(tags=["Rows"])
EDIT, VIEW = ProjectKey(Permission.EDIT_DATA), ProjectKey(Permission.VIEW)
ROWS = 100


def _shown(example: Example) -> RowOut:
    return RowOut(
        id=example.pk,
        key=example.key,
        dataset=example.dataset_id,
        row=example.payload,
        split=example.split,
        tags=list(example.tags),
        stands=example.removed_at is None,
    )


def _example(request: ProjectRequest, pk: int) -> Example:
    found = get_object_or_404(examples_of(request.project), pk=pk)
    found.dataset = get_object_or_404(datasets_of(request.project), pk=found.dataset_id)
    found.dataset.project = request.project
    return found


@router.get("/datasets/{int:pk}/rows/", auth=VIEW, response={200: RowsOut, **REFUSALS}, url_name="rows")
def rows(
    request: ProjectRequest,
    place: ProjectPlace,
    pk: int,
    after: QueryEx[int, P(ge=0, lt=2**63, description="`next` of the page before.")] = 0,
) -> RowsOut:
    """What stands in the dataset now, a hundred rows at a time."""
    dataset = dataset_in(request, pk)
    found = list(head_of(dataset).filter(pk__gt=after).order_by("pk")[: ROWS + 1])
    page = found[:ROWS]
    return RowsOut(rows=[_shown(each) for each in page], next=page[-1].pk if len(found) > ROWS else None)


@router.post("/datasets/{int:pk}/rows/", auth=EDIT, response={201: RowOut, **REFUSALS}, url_name="add_row")
def add_row(request: ProjectRequest, place: ProjectPlace, pk: int, payload: RowIn) -> Status[RowOut]:
    """Add a row at the end. It must pass the checks of an import; 422 says what is wrong with it."""
    example = row_add(dataset=dataset_in(request, pk), raw=encoded(payload.row), actor=request.user)
    return Status(201, _shown(example))


@router.get("/rows/{int:pk}/", auth=VIEW, response={200: RowOut, **REFUSALS}, url_name="row")
def row(request: ProjectRequest, place: ProjectPlace, pk: int) -> RowOut:
    """One form of one row; `stands` is false when it was edited or removed since."""
    return _shown(_example(request, pk))


@router.put("/rows/{int:pk}/", auth=EDIT, response={200: RowOut, **REFUSALS}, url_name="edit_row")
def edit_row(request: ProjectRequest, place: ProjectPlace, pk: int, payload: RowIn) -> RowOut:
    """Put another form in the place of this one: it has an `id` of its own, and the same `key`.

    409 when somebody edited or removed the row first; the form before is kept in the row's history.
    """
    return _shown(row_edit(example=_example(request, pk), raw=encoded(payload.row), actor=request.user))


@router.delete("/rows/{int:pk}/", auth=EDIT, response={204: None, **REFUSALS}, url_name="remove_row")
def remove_row(
    request: ProjectRequest,
    place: ProjectPlace,
    pk: int,
    reason: QueryEx[str, P(max_length=300, description="Why, for the row's history.")] = "",
) -> Status[None]:
    """Take the row out of what the next version is frozen from. It can be brought back on its page."""
    row_remove(example=_example(request, pk), actor=request.user, reason=reason)
    return Status(204, None)
