"""What holds for every test."""

import pytest
from stores import forget


@pytest.fixture(autouse=True)
def _no_store_is_open(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONPIPE_STORE", str(tmp_path / "auto.sqlite"))  # not the user's
    forget()
    yield
    forget()
