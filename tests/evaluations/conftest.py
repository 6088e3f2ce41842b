from typing import Any

import pytest

from apps.evaluations.models import Comparison
from apps.operations.models import Operation
from apps.operations.services import operation_run
from tests.evaluations.inference_server import InferenceServer
from tests.evaluations.worlds import World, build_world, decide_with


@pytest.fixture
def make_world(project, people):
    """`make_world(train=…, test=…, groups=…)`"""

    def make(**options: Any) -> World:
        return build_world(project, people.lea, **options)

    return make


@pytest.fixture
def world(project, people) -> World:
    return build_world(project, people.lea)


@pytest.fixture
def decided():
    """`decided(comparison, {contender: share right})`: made-up answers, the real statistics and verdict."""
    return decide_with


@pytest.fixture
def inference(settings):
    """A scripted inference program that the product is configured to ask."""
    server = InferenceServer()
    settings.FTPORTAL_INFERENCE_URL = server.url
    settings.FTPORTAL_INFERENCE_TOKEN = "token"
    yield server
    server.close()


@pytest.fixture
def work(inference):
    """`work(comparison)`: run its operation here, as a worker would; returns the comparison afterwards."""

    def run(comparison: Comparison) -> Comparison:
        operation = Operation.objects.filter(
            subject_type="evaluations.comparison", subject_id=comparison.pk
        ).latest("pk")
        operation_run(operation_id=operation.pk)
        return Comparison.objects.get(pk=comparison.pk)

    return run
