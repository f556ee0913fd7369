"""Copies of weights: of the best epoch, and their moving average."""

import numpy as np
import pytest
import torch
from torch import nn

from visionpipe.deep.training.weights import BestWeights, MovingAverage, copy_of


def with_weight(value):
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, value)
    return module


def stops(best, losses, first=1):
    """Whether to stop after each epoch; the weight in epoch n is n."""
    epochs = enumerate(losses, start=first)
    return [best.update(copy_of(with_weight(epoch)), loss, epoch) for epoch, loss in epochs]


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("losses", "best_epoch"),
    [
        ([3, 2, 1], 3),
        ([3, 1, 2], 2),
        ([1, 1, 1], 1),  # of equals, the first
        ([NAN, 2, 1], 3),
        ([NAN, NAN, 5], 3),
        ([2, NAN, 3], 1),
        ([INF, NAN, INF], 1),
    ],
)
def test_the_least_loss_is_the_best(losses, best_epoch):
    best = BestWeights(patience=10)
    assert stops(best, losses) == [False] * 3
    assert best.epoch == best_epoch == best.weights["weight"].item()


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_patience_is_counted_from_the_best_epoch(patience):
    found = stops(BestWeights(patience), [3, 2, 1, 4, 4, 4, 4])
    assert found.index(True) + 1 == 3 + patience


def test_the_best_state_comes_back():
    best, losses = BestWeights(patience=3), [2, 1, 3, 3, 3]
    expected = stops(best, losses)
    before, after = BestWeights(patience=3), BestWeights(patience=3)
    found = stops(before, losses[:3])
    after.load(before.state())
    assert found + stops(after, losses[3:], first=4) == expected == [False] * 4 + [True]
    assert (after.loss, after.epoch, after.weights["weight"].item()) == (1, 2, 2)


def test_an_average_that_was_saved_goes_on_as_if_it_had_not_been():
    values = np.random.default_rng(0).normal(size=8)
    module, copied = with_weight(1), with_weight(1)
    whole, part = MovingAverage(module, 0.6), MovingAverage(copied, 0.6)
    expected = torch.ones(1, 1)
    for n, value in enumerate(values, start=1):
        decay = min(0.6, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
        for one, average in ((module, whole), (copied, part)):
            nn.init.constant_(one.weight, value)
            average.update()
        state, part = part.state(), MovingAverage(copied, 0.6)
        part.load(state)
    for one, average in ((module, whole), (copied, part)):
        average.swap()
        torch.testing.assert_close(one.weight.detach(), expected)
        average.swap()
        torch.testing.assert_close(one.weight.item(), values[-1], rtol=1e-6, atol=0)
