"""What the tests of the layers share."""

from collections.abc import Iterator

import pytest

from tests.nn.processes import end_processes


@pytest.fixture(scope="module", autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    end_processes()
