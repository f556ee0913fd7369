"""Augmentation: what it draws, and that the kernels get it."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest
from sklearn.base import clone

from visionpipe.deep.data.augmentation import Augmentation

ALL = {
    "mirror": True,
    "shift": 2,
    "rotate": 15,
    "scale": 0.1,
    "shear": 10,
    "cutout": 3,
    "brightness": 0.3,
    "contrast": 0.3,
    "saturation": 0.3,
    "noise": 0.05,
}


def pixels(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def apply(batch, *, seed=0, epoch=0, rows=None, **parameters):
    """What comes out if torch's generator starts at `seed`."""
    torch.manual_seed(seed)
    rows = torch.arange(len(batch)) if rows is None else rows
    return Augmentation(**parameters).apply(batch, rows, epoch, seed=7)


# ------------------------------------------------------------------------------- as an estimator


def test_it_clones_and_its_parameters_can_be_searched():
    augmentation = Augmentation(**ALL, padding="zero")
    assert clone(augmentation).get_params() == {**ALL, "padding": "zero"}
    assert clone(augmentation).set_params(shift=3).shift == 3
    assert repr(Augmentation(shift=4)) == "Augmentation(shift=4)"


@pytest.mark.parametrize(
    "good",
    [{}, ALL, {"mirror": "alternating"}, {"shift": np.int64(3), "scale": np.float32(0.5)}],
)
def test_what_makes_sense_passes(good):
    Augmentation(**good).check()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mirror", ["always", None, 2]),
        ("padding", ["constant", None]),
        ("shift", [-1, 1.5, True, "4", None]),
        ("rotate", [-1, 181, np.nan, "45"]),
        ("scale", [-0.1, 1, np.inf]),
        ("shear", [-1, 90]),
        ("cutout", [-1, 8.0]),
        ("brightness", [-0.1, 1.1, True]),
        ("contrast", [-0.1, 1.1]),
        ("saturation", [-0.1, 1.1]),
        ("noise", [-0.1, 1.1, np.nan]),
    ],
)
def test_what_makes_no_sense_is_refused(name, values):
    for value in values:
        message = rf"^Augmentation\({name}=.*\): {name} must be "
        with pytest.raises(ValueError, match=message):
            Augmentation(**{name: value}).check()


# ------------------------------------------------------------------------------------- what is on


@pytest.mark.parametrize("parameters", [{}, {"padding": "zero"}, {"shift": 0, "scale": 0.0}])
def test_nothing_happens_by_default(parameters):
    for batch in (pixels(4, 3, 8, 8), pixels(4, 3, 8, 8) / 255):
        state = torch.get_rng_state()
        assert Augmentation(**parameters).apply(batch, torch.arange(4), 0, 0) is batch
        assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("name", ALL)
def test_each_parameter_does_something(name, n_channels):
    batch = pixels(16, n_channels, 8, 10)
    got = apply(batch, **{name: ALL[name]})
    assert got.shape == batch.shape
    assert got.dtype == (torch.uint8 if name in ("mirror", "shift") else torch.float32)
    unchanged = torch.equal(got.float() if got.dtype == torch.uint8 else got * 255, batch.float())
    assert unchanged == (name == "saturation" and n_channels == 1)


@pytest.mark.parametrize("parameters", [{name: ALL[name]} for name in ALL] + [ALL], ids=str)
@pytest.mark.parametrize("n_channels", [1, 3])
def test_bytes_and_floats_and_layouts_give_the_same(parameters, n_channels):
    batch = pixels(8, n_channels, 9, 12)
    before = batch.clone()
    expected = apply(batch, **parameters)
    if expected.dtype == torch.uint8:
        expected = expected / 255
    floats = batch / 255
    channels_last = batch.contiguous(memory_format=torch.channels_last)
    assert torch.equal(apply(floats, **parameters), expected)
    got = apply(channels_last, **parameters)
    np.testing.assert_allclose(got / 255 if got.dtype == torch.uint8 else got, expected, atol=1e-6)
    assert torch.equal(batch, before) and torch.equal(floats, before / 255)
    assert expected.min() >= 0 and expected.max() <= 1


@pytest.mark.parametrize("name", ALL)
def test_torchs_generator_decides(name):
    batch = pixels(16, 3, 8, 10)
    parameters = {name: ALL[name]}
    first = apply(batch, **parameters, seed=1)
    assert torch.equal(apply(batch, **parameters, seed=1), first)
    assert not torch.equal(apply(batch, **parameters, seed=2), first)
    # nothing but the alternating mirror looks at rows and epochs
    assert torch.equal(
        apply(batch, **parameters, seed=1, epoch=5, rows=torch.arange(16) + 9), first
    )


@pytest.mark.parametrize("mirror", [True, "alternating"])
@pytest.mark.parametrize("padding", ["reflect", "zero"])
def test_nothing_waits_for_a_gpu(mirror, padding):
    """A tensor without numbers cannot be asked for one, nor mixed with those of another device."""
    batch = torch.empty((8, 3, 9, 12), dtype=torch.uint8, device="meta")
    rows = torch.empty(8, dtype=torch.int64, device="meta")
    augmentation = Augmentation(**{**ALL, "mirror": mirror, "padding": padding})
    got = augmentation.apply(batch, rows, 1, 0)
    assert got.shape == batch.shape and got.device.type == "meta"


# ------------------------------------------------------------------------------------------ mirror


def is_mirrored(batch, got):
    """Which images came out the other way round; they are asymmetric."""
    mirrored = (got == batch.flip(-1)).flatten(1).all(1)
    assert ((got == batch).flatten(1).all(1) ^ mirrored).all()
    return mirrored


def ramps(n):
    return torch.arange(4, dtype=torch.uint8).expand(n, 1, 2, 4)


def test_mirror_is_a_new_coin_each_time():
    batch = ramps(10_000)
    first = is_mirrored(batch, apply(batch, mirror=True))
    second = is_mirrored(batch, Augmentation(mirror=True).apply(batch, torch.arange(10_000), 0, 7))
    assert abs(first.float().mean() - 0.5) < 0.02
    assert abs((first == second).float().mean() - 0.5) < 0.02


def directions(rows, epoch, seed):
    batch = ramps(len(rows))
    augmentation = Augmentation(mirror="alternating")
    return is_mirrored(batch, augmentation.apply(batch, rows, epoch, seed))


def test_alternating_turns_every_image_over_every_other_epoch():
    rows = torch.arange(1000)
    state = torch.get_rng_state()
    epochs = [directions(rows, epoch, seed=3) for epoch in range(4)]
    assert torch.equal(epochs[0], ~epochs[1])
    assert torch.equal(epochs[0], epochs[2]) and torch.equal(epochs[1], epochs[3])
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn
    order = torch.from_numpy(np.random.default_rng(0).permutation(1000))
    assert torch.equal(directions(order, 0, seed=3), epochs[0][order])  # wherever it comes


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**31 - 1])
def test_first_directions_are_fair_coins(seed):
    n = 100_000
    coins = directions(torch.arange(n), 0, seed).numpy().astype(float) * 2 - 1
    limit = 4 / np.sqrt(n)  # four standard deviations
    assert abs(coins.mean()) < limit
    for lag in (*range(1, 20), 32, 64, 128, 1024, 50_000):
        assert abs((coins[:-lag] * coins[lag:]).mean()) < limit, lag
    other = directions(torch.arange(n), 0, seed + 1).numpy().astype(float) * 2 - 1
    assert abs((coins * other).mean()) < limit


# ----------------------------------------------------------------------- what the others draw


@pytest.mark.parametrize(("padding", "in_numpy"), [("reflect", "reflect"), ("zero", "constant")])
def test_shifts_are_uniform_crops_of_the_padded_image(padding, in_numpy):
    image = pixels(1, 3, 5, 6)
    got = apply(image.expand(5000, -1, -1, -1), shift=2, padding=padding).numpy()
    padded = np.pad(image[0].numpy(), ((0, 0), (2, 2), (2, 2)), mode=in_numpy)
    counts = [
        (got == padded[:, top : top + 5, left : left + 6]).all((1, 2, 3)).sum()
        for top in range(5)
        for left in range(5)
    ]
    assert sum(counts) == 5000
    assert chisquare(counts).pvalue > 0.001


def test_a_shift_as_large_as_the_image():
    with pytest.raises(ValueError, match="4x5 pixels .* cannot be padded with 4 pixels"):
        apply(pixels(2, 3, 4, 5), shift=4)
    assert apply(pixels(2, 3, 4, 5), shift=4, padding="zero").shape == (2, 3, 4, 5)


def is_uniform(values, low, high):
    return kstest(values, "uniform", args=(low, high - low)).pvalue > 0.001


def linear_parts(**parameters):
    """Matrices (n, 2, 2) that images were changed by, read off slopes in x and y."""
    x, y = np.meshgrid(np.arange(9.0), np.arange(9.0))
    batch = torch.from_numpy(np.stack([x, y]) / 10).float().expand(2000, -1, -1, -1)
    got = apply(batch, **parameters).double().numpy() * 10
    along_x, along_y = got[:, :, 4, 5] - got[:, :, 4, 4], got[:, :, 5, 4] - got[:, :, 4, 4]
    np.testing.assert_allclose(got[:, :, 4, 4], 4, atol=1e-4)  # the centre stays
    return np.linalg.inv(np.stack([along_x, along_y], axis=2))


def test_angles_are_uniform():
    turns = linear_parts(rotate=30)
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-3)
    assert is_uniform(np.degrees(np.arctan2(turns[:, 0, 1], turns[:, 0, 0])), -30, 30)


def test_scales_are_uniform():
    scales = linear_parts(scale=0.4)
    np.testing.assert_allclose(scales, scales[:, :1, :1] * np.eye(2), atol=1e-4)
    assert is_uniform(scales[:, 0, 0], 0.6, 1.4)


def test_shears_are_uniform():
    shears = linear_parts(shear=20)
    np.testing.assert_allclose(shears[:, [0, 1, 1], [0, 0, 1]], [[1, 0, 1]] * 2000, atol=1e-4)
    assert is_uniform(np.degrees(np.arctan(shears[:, 0, 1])), -20, 20)


def test_squares_are_centred_anywhere_and_have_the_mean_colour():
    batch = pixels(4000, 3, 5, 6) / 255
    got = apply(batch, cutout=3)
    covered = (got != batch).any(1).numpy()  # (n, h, w)
    colours = got.permute(0, 2, 3, 1)[torch.from_numpy(covered)]
    np.testing.assert_allclose(colours, batch.mean((0, 2, 3)).expand_as(colours), atol=1e-5)
    counts = []
    for row in range(5):
        for column in range(6):
            square = np.zeros((5, 6), bool)
            square[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
            counts.append((covered == square).all((1, 2)).sum())
    assert sum(counts) == 4000
    assert chisquare(counts).pvalue > 0.001


def test_factors_of_light_are_uniform():
    grey = torch.full((2000, 3, 2, 2), 0.5)
    factors = apply(grey, brightness=0.6)[:, 0, 0, 0] / 0.5
    assert is_uniform(factors, 0.4, 1.6)
    checks = torch.tensor([[0.4, 0.6], [0.6, 0.4]]).expand(2000, 3, 2, 2)
    spread = apply(checks, contrast=0.6)
    np.testing.assert_allclose(spread.mean((1, 2, 3)), 0.5, atol=1e-6)
    assert is_uniform((spread[:, 0, 0, 1] - spread[:, 0, 0, 0]) / 0.2, 0.4, 1.6)
    tinted = torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1).expand(2000, -1, 2, 2)
    coloured = apply(tinted, saturation=0.6)
    assert is_uniform((coloured[:, 2, 0, 0] - coloured[:, 0, 0, 0]) / 0.2, 0.4, 1.6)


def test_deviations_of_noise_are_uniform():
    grey = torch.full((500, 1, 50, 50), 0.5)
    deviations = apply(grey, noise=0.1).flatten(1).std(1)
    assert is_uniform(deviations, 0, 0.1)
