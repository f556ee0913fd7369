"""What holds for every test."""

import pytest
from stores import forget


@pytest.fixture(autouse=True)
def _no_store_is_open():
    forget()
    yield
    forget()
