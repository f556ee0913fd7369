"""Fractional max pooling against a slow version of the paper's, against torch's, and its draws."""

import math
import pickle
from collections import Counter
from copy import deepcopy
from fractions import Fraction
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from visionpipe.networks.fractional_max_pool import (
    FractionalMaxPool2d,
    max_over_regions,
    pseudorandom_sequences,
    random_sequences,
    regions_between,
    torch_sequences,
)

OVERLAPPING = [False, True, "squares"]
VARIANTS = [(p, o) for p in (True, False) for o in OVERLAPPING]
variants = pytest.mark.parametrize(("pseudorandom", "overlapping"), VARIANTS)


def slow_regions(sequence, overlapping):
    """First and last pixel of each region, counted from 0."""
    if overlapping == "squares":
        return [(a, a + 1) for a in sequence]
    return [(a, b if overlapping else b - 1) for a, b in pairwise(sequence)]


def slow_pool(image, rows, columns):
    """Maxima (c, h', w') of an ndarray (c, h, w) over products of regions."""
    return np.array(
        [[[m[a : b + 1, c : d + 1].max() for c, d in columns] for a, b in rows] for m in image]
    )


def slow_sequence(u, n, distance):
    """Equation 2 of the paper, shifted to start with 0."""
    alpha = Fraction(distance, n)
    sequence = [math.ceil(alpha * (i + Fraction(u))) for i in range(n + 1)]
    return [a - sequence[0] for a in sequence]


def sequences_of(pool, n_in, n_draws):
    """Sequences of rows and of columns, (n_draws, n_out) each, that an overlapping layer draws.

    Found from outside: pixels count the rows, or columns, so that the largest is the last.
    """
    count = torch.arange(float(n_in)).expand(n_draws, n_in, n_in)
    pooled = pool.train()(torch.stack([count.mT, count], dim=1))
    return pooled[:, 0, :, 0].int().tolist(), pooled[:, 1, 0, :].int().tolist()


def chi_squared(counts, shares):
    """Of counts by key, where a share of all is expected for each key; and degrees of freedom."""
    assert counts.keys() <= shares.keys()
    n = sum(counts.values())
    return sum((counts[k] - n * s) ** 2 / (n * s) for k, s in shares.items()), len(shares) - 1


# ------------------------------------------------------------------------------------ sequences


@pytest.mark.parametrize(("n", "distance"), [(1, 1), (1, 2), (7, 7), (7, 14), (25, 34), (74, 92)])
def test_pseudorandom_sequences_are_the_paper_s(n, distance):
    u = torch.rand(200, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = pseudorandom_sequences(u, n, distance)
    assert found.tolist() == [slow_sequence(value, n, distance) for value in u[:, 0].tolist()]


@pytest.mark.parametrize(("n", "distance"), [(1, 1), (1, 2), (7, 7), (7, 14), (25, 34), (74, 92)])
@pytest.mark.parametrize("kind", [pseudorandom_sequences, torch_sequences, random_sequences])
def test_increments_are_1_and_2(kind, n, distance):
    generator = torch.Generator().manual_seed(0)
    if kind is random_sequences:
        found = kind(torch.rand(500, n, generator=generator), distance)
    else:
        u = torch.rand(500, 1, generator=generator)
        if kind is pseudorandom_sequences:
            u[0], u[1] = 0, 1 - 2**-24  # the least and the greatest that torch draws
        found = kind(u, n, distance)
    assert found.shape == (500, n + 1) and found.dtype == torch.int64
    assert (found[:, 0] == 0).all() and (found[:, -1] == distance).all()
    assert ((found.diff() == 1) | (found.diff() == 2)).all()


def test_u_is_uniform():
    """Of 7 pixels and 4 regions: what 6 equal parts of 0..1 give, each a sixth of the time."""
    torch.manual_seed(0)
    pool = FractionalMaxPool2d(output_size=4)
    shares = Counter()
    for part in range(6):
        shares[tuple(slow_sequence(Fraction(2 * part + 1, 12), 4, 6)[1:])] += 1 / 6
    assert len(shares) > 1
    rows, columns = sequences_of(pool, 7, 4000)
    for found in (rows, columns):
        statistic, freedom = chi_squared(Counter(map(tuple, found)), shares)
        assert statistic < freedom + 4 * (2 * freedom) ** 0.5
    pairs = {(r, c): shares[r] * shares[c] for r in shares for c in shares}  # two draws, not one
    found = Counter(zip(map(tuple, rows), map(tuple, columns), strict=True))
    statistic, freedom = chi_squared(found, pairs)
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5


def test_random_orders_are_all_alike():
    torch.manual_seed(0)
    pool = FractionalMaxPool2d(output_size=4, pseudorandom=False)
    orders = set(permutations([1, 1, 2, 2]))
    shares = {tuple(np.cumsum(order).tolist()): 1 / len(orders) for order in orders}
    for found in sequences_of(pool, 7, 4000):
        statistic, freedom = chi_squared(Counter(map(tuple, found)), shares)
        assert freedom == 5 and statistic < freedom + 4 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("overlapping", OVERLAPPING)
def test_sizes_that_increments_of_1_and_2_can_reach(overlapping):
    """Ask for every size; those that some sequence has are pooled to, the others refused."""
    lost, extra = {False: (0, 0), True: (1, 0), "squares": (2, 1)}[overlapping]
    for n_in in range(1, 9):
        reached = {n + extra for n in range(9) if n <= n_in - lost <= 2 * n} - {0}
        for n_out in range(1, 10):
            pool = FractionalMaxPool2d(output_size=n_out, overlapping=overlapping)
            maps = torch.rand(2, 1, n_in, n_in)
            if n_out in reached:
                assert pool(maps).shape == (2, 1, n_out, n_out)
            else:
                message = f"cannot pool {n_in} pixels to {n_out}; with overlapping={overlapping!r}"
                with pytest.raises(ValueError, match=message):
                    pool(maps)


def test_sizes_in_the_message():
    with pytest.raises(ValueError, match="pool them to 17 or more, but no more than 34: change"):
        FractionalMaxPool2d(output_size=(25, 16))(torch.rand(1, 1, 35, 35))


# -------------------------------------------------------------------------------------- maxima


@variants
@pytest.mark.parametrize("n_draws", [1, 3])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_maxima_of_the_slow_version(pseudorandom, overlapping, n_draws, memory_format):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 2, 11, 14, generator=generator).to(memory_format=memory_format)
    lost, extra = {False: (0, 0), True: (1, 0), "squares": (2, 1)}[overlapping]
    sequences = []
    for n_in, n_out in ((11, 8), (14, 9)):
        n, distance = n_out - extra, n_in - lost
        uniform = torch.rand(n_draws, 1 if pseudorandom else n, generator=generator)
        if not pseudorandom:
            sequences.append(random_sequences(uniform, distance))
        else:
            kind = torch_sequences if overlapping == "squares" else pseudorandom_sequences
            sequences.append(kind(uniform, n, distance))
    found = max_over_regions(maps, *(regions_between(s, overlapping) for s in sequences))
    assert found.is_contiguous(memory_format=memory_format) and found.shape == (3, 2, 8, 9)
    for i, image in enumerate(maps.numpy()):
        of = i if n_draws == 3 else 0
        slow = (slow_regions(s[of].tolist(), overlapping) for s in sequences)
        np.testing.assert_array_equal(found[i], slow_pool(image, *slow))


@variants
def test_no_pixel_is_left_out(pseudorandom, overlapping):
    torch.manual_seed(0)
    pool = FractionalMaxPool2d(
        output_size=(4, 5), pseudorandom=pseudorandom, overlapping=overlapping
    )
    spikes = torch.eye(7 * 7).view(49, 1, 7, 7)  # one at each pixel
    for _ in range(20):
        assert (pool(spikes).amax((1, 2, 3)) == 1).all()


def samples_for_torch(size_in, size_out, dtype):
    """Numbers (40, 3, 2) for torch, width first, the first channel's where rounding decides.

    There alpha (i + u) is whole, or u as large as torch draws it.
    """
    samples = torch.rand(40, 3, 2, dtype=dtype)
    for axis, (n_in, n_out) in enumerate(zip(size_in, size_out, strict=True)):
        whole = torch.arange(40, dtype=dtype) * max(n_out - 1, 1) / max(n_in - 2, 1) % 1
        samples[:, 0, 1 - axis] = whole
    samples[-1, 0] = 1 - torch.finfo(dtype).eps / 2
    return samples


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("size_in", "size_out"),
    [((35, 35), (25, 25)), ((16, 24), (11, 17)), ((9, 16), (8, 8)), ((2, 3), (1, 2))],
)
def test_pseudorandom_squares_are_torch_s(size_in, size_out, dtype):
    """To the last bit, given the same numbers; so are the gradients, but for the order of sums."""
    torch.manual_seed(0)
    samples = samples_for_torch(size_in, size_out, dtype)
    ours = torch.randn(40, 3, *size_in, dtype=dtype, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    rows, columns = (
        regions_between(
            torch_sequences(samples[..., 1 - axis].reshape(-1, 1), n_out - 1, n_in - 2), "squares"
        )
        for axis, (n_in, n_out) in enumerate(zip(size_in, size_out, strict=True))
    )
    found = max_over_regions(ours.flatten(0, 1)[:, None], rows, columns)  # (120, 1, h', w')
    expected = F.fractional_max_pool2d(theirs, 2, size_out, _random_samples=samples)
    torch.testing.assert_close(found.view_as(expected), expected, rtol=0, atol=0)
    upstream = torch.randn_like(expected)
    found.backward(upstream.view_as(found))
    expected.backward(upstream)
    tiny = torch.finfo(dtype).eps * 8
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=tiny, atol=tiny)


@variants
def test_gradient_is_that_of_finite_differences(pseudorandom, overlapping):
    pool = FractionalMaxPool2d(
        output_size=(4, 3), pseudorandom=pseudorandom, overlapping=overlapping
    )

    def pooled(maps):
        torch.manual_seed(0)
        return pool(maps)

    values = torch.randperm(2 * 6 * 5, generator=torch.Generator().manual_seed(0))
    maps = values.view(2, 1, 6, 5).double().requires_grad_()  # all apart
    assert torch.autograd.gradcheck(pooled, maps, eps=1e-3)


# --------------------------------------------------------------------------------------- layer


@variants
def test_one_draw_for_each_image_in_training(pseudorandom, overlapping):
    torch.manual_seed(0)
    pool = FractionalMaxPool2d(output_size=8, pseudorandom=pseudorandom, overlapping=overlapping)
    maps = torch.randn(11, 11).expand(30, 3, 11, 11)
    pooled = pool(maps)
    assert (pooled == pooled[:, :1]).all()  # for all channels alike
    assert len(pooled.flatten(1).unique(dim=0)) > 2


@variants
def test_one_draw_for_all_images_in_evaluation(pseudorandom, overlapping):
    pool = FractionalMaxPool2d(output_size=8, pseudorandom=pseudorandom, overlapping=overlapping)
    pool.eval()
    maps = torch.randn(30, 3, 11, 11, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    together = pool(maps)
    torch.manual_seed(1)
    assert torch.equal(together[4:5], pool(maps[4:5]))
    assert len({pool(maps[:1]).sum().item() for _ in range(30)}) > 2


def test_draws_are_those_of_the_global_generator():
    pool = FractionalMaxPool2d(pooling_ratio=1.4)
    maps = torch.randn(4, 2, 20, 20)
    torch.manual_seed(3)
    first = pool(maps)
    torch.manual_seed(3)
    assert torch.equal(first, pool(maps))


def test_regions_of_the_layer_are_those_of_its_numbers():
    pool = FractionalMaxPool2d(output_size=(8, 9), pseudorandom=True, overlapping=False)
    maps = torch.randn(3, 2, 11, 14)
    torch.manual_seed(5)
    found = pool(maps)
    torch.manual_seed(5)
    u, v = torch.rand(3, 1)[:, 0].tolist(), torch.rand(3, 1)[:, 0].tolist()
    for i, image in enumerate(maps.numpy()):
        rows = slow_regions(slow_sequence(u[i], 8, 11), False)
        columns = slow_regions(slow_sequence(v[i], 9, 14), False)
        np.testing.assert_array_equal(found[i], slow_pool(image, rows, columns))


@pytest.mark.parametrize(
    ("ratio", "expected"), [(1.5, (13, 20)), ((1.25, 1.9), (16, 15)), (2**0.5, (14, 21))]
)
def test_output_size_of_a_ratio(ratio, expected):
    pooled = FractionalMaxPool2d(pooling_ratio=ratio)(torch.rand(2, 1, 20, 30))
    assert pooled.shape == (2, 1, *expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "pooling_ratio=None and output_size=None; set exactly one"),
        ({"pooling_ratio": 1.5, "output_size": 3}, "pooling_ratio=1.5 and output_size=3; set"),
        ({"pooling_ratio": 1}, r"pooling_ratio=1\).*above 1 and below 2"),
        ({"pooling_ratio": (1.5, 2.0)}, r"pooling_ratio=\(1.5, 2.0\)\).*above 1 and below 2"),
        ({"output_size": 3, "overlapping": "square"}, "'square'.*one of False, True, 'squares'"),
    ],
    ids=["none", "both", "least", "greatest", "overlapping"],
)
def test_options_that_do_not_exist(options, message):
    with pytest.raises(ValueError, match=message):
        FractionalMaxPool2d(**options)


@pytest.mark.parametrize(
    ("backend", "pseudorandom", "overlapping"),
    [
        ("eager", True, True),
        *(("aot_eager", True, True), ("aot_eager", False, False), ("aot_eager", True, "squares")),
    ],
)
def test_compiles_to_one_graph(backend, pseudorandom, overlapping):
    pool = FractionalMaxPool2d(output_size=8, pseudorandom=pseudorandom, overlapping=overlapping)
    torch._dynamo.reset()
    compiled = torch.compile(pool, fullgraph=True, backend=backend)
    gradients = []
    for layer in (pool, compiled):
        maps = torch.randn(3, 2, 11, 11, generator=torch.Generator().manual_seed(0))
        maps.requires_grad_()
        torch.manual_seed(1)
        layer(maps).square().sum().backward()
        gradients.append(maps.grad)
    torch.testing.assert_close(*gradients)


@variants
def test_meta_autocast_and_copies(pseudorandom, overlapping):
    pool = FractionalMaxPool2d(output_size=8, pseudorandom=pseudorandom, overlapping=overlapping)
    assert pool(torch.empty(3, 2, 11, 11, device="meta")).shape == (3, 2, 8, 8)
    maps = torch.randn(3, 2, 11, 11).bfloat16()
    results = []
    for layer in (pool, deepcopy(pool), pickle.loads(pickle.dumps(pool))):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16):
            results.append(layer(maps))
    torch.manual_seed(0)
    results.append(pool(maps.float()).bfloat16())
    assert results[0].dtype == torch.bfloat16
    assert all(torch.equal(results[0], other) for other in results[1:])


def test_representation():
    pool = FractionalMaxPool2d(pooling_ratio=1.5, overlapping="squares")
    assert repr(pool) == (
        "FractionalMaxPool2d(pooling_ratio=(1.5, 1.5), pseudorandom=True, overlapping='squares')"
    )
