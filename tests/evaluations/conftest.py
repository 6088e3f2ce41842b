import pytest

from tests.evaluations.worlds import World, build_world, decide_with


@pytest.fixture
def make_world(project, people):
    """`make_world(train=…, test=…, groups=…)`"""

    def make(**options) -> World:
        return build_world(project, people.lea, **options)

    return make


@pytest.fixture
def world(make_world) -> World:
    return make_world()


@pytest.fixture
def decided():
    """`decided(comparison, {contender: share right})`: made-up answers, the real statistics and verdict."""
    return decide_with
