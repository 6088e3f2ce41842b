import pytest

from apps.evaluations.connection_uses import comparisons_over
from apps.evaluations.models import Comparison, ComparisonState
from apps.registry.models import BaseModel
from tests.evaluations.worlds import build_world

pytestmark = pytest.mark.django_db


def test_a_comparison_holds_the_connections_of_all_it_asks(project, people, sketch_connection):
    world = build_world(project, people.lea)
    comparison = world.comparison(world.suite())
    Comparison.objects.filter(pk=comparison.pk).update(state=ComparisonState.RUNNING)
    assert comparisons_over(sketch_connection) == []
    BaseModel.objects.filter(pk=comparison.candidate.base_model_id).update(
        provider="sketch", connection=sketch_connection
    )
    assert comparisons_over(sketch_connection) == [f"the comparison “{comparison.name}”"]
    Comparison.objects.filter(pk=comparison.pk).update(state=ComparisonState.DONE)
    assert comparisons_over(sketch_connection) == []
