"""Datasets of a project."""

from django.shortcuts import get_object_or_404
from ninja import Router, Status

from apps.accounts.permissions import Permission
from apps.core.api import REFUSALS
from apps.datasets.api.schemas import DatasetIn, DatasetOut
from apps.datasets.models import Dataset
from apps.datasets.selectors import datasets_of
from apps.datasets.services import dataset_create, dataset_update
from apps.projects.access import ProjectRequest
from apps.projects.api import ProjectKey, ProjectPlace

router = Router(tags=["Datasets"])


def dataset_in(request: ProjectRequest, pk: int) -> Dataset:
    """One of the project's datasets, or Http404."""
    dataset = get_object_or_404(datasets_of(request.project), pk=pk)
    dataset.project = request.project
    return dataset


@router.get(
    "/datasets/",
    auth=ProjectKey(Permission.VIEW),
    response={200: list[DatasetOut], **REFUSALS},
    url_name="datasets",
)
def datasets(request: ProjectRequest, place: ProjectPlace) -> list[Dataset]:
    """Every dataset of the project, by name."""
    return list(datasets_of(request.project))


@router.post(
    "/datasets/",
    auth=ProjectKey(Permission.EDIT_DATA),
    response={201: DatasetOut, **REFUSALS},
    url_name="create_dataset",
)
def create_dataset(request: ProjectRequest, place: ProjectPlace, payload: DatasetIn) -> Status[Dataset]:
    """An empty dataset. Importing a file can make one, too."""
    dataset = dataset_create(
        project=request.project, name=payload.name, description=payload.description, actor=request.user
    )
    if payload.licence:
        dataset_update(
            dataset=dataset,
            name=payload.name,
            description=payload.description,
            licence=payload.licence,
            actor=request.user,
        )
    return Status(201, dataset)


@router.get(
    "/datasets/{int:pk}/",
    auth=ProjectKey(Permission.VIEW),
    response={200: DatasetOut, **REFUSALS},
    url_name="dataset",
)
def dataset(request: ProjectRequest, place: ProjectPlace, pk: int) -> Dataset:
    """One dataset."""
    return dataset_in(request, pk)
