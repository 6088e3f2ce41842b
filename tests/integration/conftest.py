from collections.abc import Iterator

import pytest

from tests.integration.stack import Apart, Together, running_apart, running_together


@pytest.fixture(scope="session")
def together() -> Iterator[Together]:
    """`ftportal up`, shared by the tests that kill nothing."""
    with running_together() as stack:
        yield stack


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    """Programs by themselves, for the tests that kill them; each test leaves all of them running."""
    with running_apart() as stack:
        yield stack
