"""What a fitted pipeline costs, against costs that are known."""

import time

import joblib
import numpy as np
import pytest

from visionpipe import load_faces
from visionpipe.comparison import cost
from visionpipe.comparison.cost import cost_of, memory_growth

IMAGES = load_faces().images
needs_linux = pytest.mark.skipif(not cost.CLEAR.exists(), reason="no /proc of Linux")


class Sleeper:
    """Takes a time for each call and another for each image."""

    def predict(self, X):
        time.sleep(0.004 + 0.001 * len(X))
        return np.zeros(len(X))


def test_times_of_an_image_alone_and_of_one_among_many():
    found = cost_of(Sleeper(), IMAGES, 17)
    assert 5 <= found.predict_ms_batch_1 < 8
    assert 1.02 <= found.predict_ms_batch_256 < 1.6  # there are 200: 204 ms
    assert found.peak_bytes == 17


def test_size_is_that_of_the_file(tmp_path):
    model = Sleeper()
    joblib.dump(model, tmp_path / "model")
    assert cost_of(model, IMAGES[:1], None).model_bytes == (tmp_path / "model").stat().st_size


@needs_linux
def test_memory_is_the_highest_not_the_last():
    with memory_growth() as growth:
        held = np.ones(10 << 20)  # 80 MB
        del held
    assert 76 << 20 < growth.peak_bytes < 120 << 20
    with memory_growth() as growth:
        held = np.ones(1 << 20)
    assert growth.peak_bytes < 20 << 20
    assert held.sum() == 1 << 20


def test_nothing_is_measured_where_it_is_not_wanted_or_cannot_be(monkeypatch, tmp_path):
    with memory_growth(wanted=False) as growth:
        pass
    assert growth.peak_bytes is None
    monkeypatch.setattr(cost, "CLEAR", tmp_path / "nowhere" / "clear_refs")
    with memory_growth() as growth:
        pass
    assert growth.peak_bytes is None
