"""Changes to images against numpy, SciPy, Pillow and slow loops."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from scipy.ndimage import affine_transform

from visionpipe.kernels.augmentation import (
    affine,
    brightness,
    contrast,
    crop,
    cutout,
    mirror,
    noise,
    pad,
    saturation,
    turn_scale_shear,
)

DTYPES = [torch.uint8, torch.float32, torch.int64, torch.float64, torch.bool]


def pixels(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def unit(*shape, seed=0):
    return pixels(*shape, seed=seed).float() / 255


def layouts(batch):
    """The same numbers, laid out differently in memory."""
    larger = torch.nn.functional.pad(batch, (1, 2, 1, 1))
    return [
        batch.clone(),
        batch.contiguous(memory_format=torch.channels_last),
        batch.transpose(2, 3).contiguous().transpose(2, 3),
        larger[:, :, 1:-1, 1:-2],
        torch.cat((batch[:2], batch))[2:],
        batch[:1].expand_as(batch),
    ]


# ------------------------------------------------------------------- whole pixels, of any dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_mirror_turns_the_chosen_images_over(dtype):
    which = torch.tensor([True, False, False, True, True])
    for batch in layouts(pixels(5, 3, 4, 7).to(dtype)):
        before = batch.clone()
        expected = batch.numpy().copy()
        for image, chosen in zip(expected, which, strict=True):
            image[:] = image[:, :, ::-1].copy() if chosen else image
        got = mirror(batch, which)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, expected)
        assert torch.equal(batch, before)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.int64, torch.float64])
@pytest.mark.parametrize(("mode", "in_numpy"), [("reflect", "reflect"), ("zero", "constant")])
@pytest.mark.parametrize("by", [1, 3])
def test_pad_is_that_of_numpy(dtype, mode, in_numpy, by):
    for batch in layouts(pixels(5, 3, 4, 7).to(dtype)):
        got = pad(batch, by, mode)
        assert got.dtype == dtype
        sides = ((0, 0), (0, 0), (by, by), (by, by))
        np.testing.assert_array_equal(got, np.pad(batch.numpy(), sides, mode=in_numpy))


def test_images_too_small_for_their_reflection():
    message = "^Images of 4x7 pixels .* with 4 pixels of their reflection; pad by 3 or less, or"
    with pytest.raises(ValueError, match=message):
        pad(pixels(1, 1, 4, 7), 4)
    assert pad(pixels(1, 1, 4, 7), 4, "zero").shape == (1, 1, 12, 15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(3, 5), (6, 9), (1, 1), (6, 2), (2, 9)])
def test_crop_is_a_slice_of_each_image(dtype, size):
    rng = np.random.default_rng(0)
    for batch in layouts(pixels(8, 3, 6, 9).to(dtype)):
        top = torch.from_numpy(rng.integers(0, 6 - size[0] + 1, 8))
        left = torch.from_numpy(rng.integers(0, 9 - size[1] + 1, 8))
        got = crop(batch, top, left, size)
        assert got.dtype == dtype and got.shape == (8, 3, *size)
        for i, (t, f) in enumerate(zip(top, left, strict=True)):
            np.testing.assert_array_equal(
                got[i], batch.numpy()[i, :, t : t + size[0], f : f + size[1]]
            )


def test_windows_in_all_four_corners():
    batch = pixels(4, 2, 5, 6)
    got = crop(batch, torch.tensor([0, 0, 3, 3]), torch.tensor([0, 4, 0, 4]), (2, 2))
    corners = [batch[0, :, :2, :2], batch[1, :, :2, 4:], batch[2, :, 3:, :2], batch[3, :, 3:, 4:]]
    assert torch.equal(got, torch.stack(corners))


@pytest.mark.parametrize("size", [(5, 3), (3, 5), (0, 2)])
def test_windows_that_do_not_fit(size):
    message = f"{size[0]}x{size[1]} .* does not fit into images of 4x4; give a size from 1x1"
    with pytest.raises(ValueError, match=message):
        crop(pixels(1, 1, 4, 4), torch.tensor([0]), torch.tensor([0]), size)


def slow_cutout(batch, top, left, size, fill):
    batch = batch.numpy().copy()
    for image, t, f in zip(batch, top.tolist(), left.tolist(), strict=True):
        for row in range(max(t, 0), min(t + size, image.shape[1])):
            for column in range(max(f, 0), min(f + size, image.shape[2])):
                image[:, row, column] = fill
    return batch


@pytest.mark.parametrize("size", [1, 3, 20])
@pytest.mark.parametrize("fill", [0.0, 0.25, torch.tensor([0.1, 0.2, 0.3])])
def test_cutout_covers_squares(size, fill):
    rng = np.random.default_rng(size)
    top = torch.from_numpy(rng.integers(-4, 9, 40))
    left = torch.from_numpy(rng.integers(-4, 12, 40))
    for batch in layouts(unit(40, 3, 6, 9)):
        before = batch.clone()
        np.testing.assert_array_equal(
            cutout(batch, top, left, size, fill), slow_cutout(batch, top, left, size, fill)
        )
        assert torch.equal(batch, before)


# ---------------------------------------------------------------------------------------- affine


def scipy_affine(image, matrix):
    """SciPy counts (row, column) from the corner, `affine` (x, y) from the centre."""
    centre = (np.array(image.shape) - 1) / 2
    linear = matrix[::-1, 1::-1]
    offset = centre - linear @ centre + matrix[::-1, 2]
    return affine_transform(image, linear, offset, order=1, mode="reflect")


@pytest.mark.parametrize("shape", [(9, 9), (8, 13), (14, 7), (2, 3)])
def test_affine_is_that_of_scipy(shape):
    rng = np.random.default_rng(0)
    matrices = torch.eye(2, 3) + torch.from_numpy(0.6 * rng.standard_normal((6, 2, 3))).float()
    matrices[:, :, 2] *= 4
    for batch in layouts(unit(6, 2, *shape)):
        got = affine(batch, matrices)
        for i in range(6):
            for plane, image in zip(got[i], batch[i].double().numpy(), strict=True):
                np.testing.assert_allclose(
                    plane, scipy_affine(image, matrices[i].double().numpy()), atol=2e-5
                )


def test_affine_moves_whole_pixels():
    batch = unit(2, 3, 5, 8)
    matrices = torch.eye(2, 3).repeat(2, 1, 1)
    matrices[0, :, 2] = torch.tensor([2.0, -1.0])  # to the left by 2, down by 1
    got = affine(batch, matrices)
    np.testing.assert_allclose(got[0, :, 1:, :-2], batch[0, :, :-1, 2:], atol=1e-5)
    np.testing.assert_allclose(got[0, :, 0, :-2], batch[0, :, 0, 2:], atol=1e-5)  # reflected
    np.testing.assert_allclose(got[1], batch[1], atol=1e-5)


def degrees(*values):
    return torch.tensor([float(value) for value in values])


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_angles_turn_counter_clockwise(quarters):
    batch = unit(1, 3, 7, 7)
    matrix = turn_scale_shear(degrees(90 * quarters), torch.ones(1), degrees(0))
    np.testing.assert_allclose(
        affine(batch, matrix), np.rot90(batch.numpy(), quarters, axes=(2, 3)), atol=1e-5
    )


def test_matrices_undo_shear_then_scale_then_turn():
    rng = np.random.default_rng(0)
    angle, shear = rng.uniform(-180, 180, 9), rng.uniform(-60, 60, 9)
    scale = rng.uniform(0.3, 2, 9)
    got = turn_scale_shear(*(torch.from_numpy(a).float() for a in (angle, scale, shear)))
    assert got.shape == (9, 2, 3) and not got[:, :, 2].any()
    for i in range(9):
        a, s = np.deg2rad(angle[i]), np.deg2rad(shear[i])
        turn = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])  # y is downward
        lean = np.array([[1, -math.tan(s)], [0, 1]])
        np.testing.assert_allclose(
            got[i, :, :2], np.linalg.inv(turn @ (scale[i] * lean)), atol=1e-5
        )


def test_scale_enlarges_and_shear_leans_to_the_right():
    bar = torch.zeros(1, 1, 21, 21)
    bar[0, 0, :, 10] = 1
    wide = affine(bar, turn_scale_shear(degrees(0), torch.tensor([3.0]), degrees(0)))
    np.testing.assert_allclose(wide.sum((1, 3)), torch.full((1, 21), 3.0), atol=1e-5)
    leaning = affine(bar, turn_scale_shear(degrees(0), torch.ones(1), degrees(45)))[0, 0]
    assert leaning[5].argmax() == 15 and leaning[15].argmax() == 5  # the top is on the right


# ---------------------------------------------------------------------------------------- colour


def enhanced(kind, batch, factor):
    """By Pillow, an image at a time, of bytes."""
    for image, f in zip(batch.permute(0, 2, 3, 1).numpy(), factor.tolist(), strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        changed = np.asarray(kind(picture).enhance(f))
        yield changed.reshape(image.shape).transpose(2, 0, 1)


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (brightness, ImageEnhance.Brightness),
        (contrast, ImageEnhance.Contrast),
        (saturation, ImageEnhance.Color),
    ],
)
def test_colours_are_those_of_pillow(change, kind, n_channels):
    factor = torch.tensor([0.0, 0.3, 1.0, 1.4, 2.0])
    batch = pixels(5, n_channels, 11, 13)
    expected = np.stack([*enhanced(kind, batch, factor)]) / 255
    for floats in layouts(batch.float() / 255)[:-1]:
        before = floats.clone()
        got = change(floats, factor)
        # Pillow rounds the mean grey, or each pixel's, and drops the fraction of what comes out.
        np.testing.assert_allclose(got, expected, atol=2.01 / 255)
        assert torch.equal(floats, before)


@pytest.mark.parametrize("change", [brightness, contrast, saturation])
def test_colours_stay_between_0_and_1(change):
    batch = unit(50, 3, 9, 9)
    got = change(batch, torch.linspace(0, 10, 50))
    assert got.min() == 0 and got.max() == 1
    np.testing.assert_allclose(change(batch, torch.ones(50)), batch, atol=1e-6)


def test_greys_have_no_saturation():
    grey = unit(4, 1, 5, 5)
    assert saturation(grey, torch.full((4,), 0.3)) is grey
    as_rgb = grey.expand(-1, 3, -1, -1)
    np.testing.assert_allclose(saturation(as_rgb, torch.full((4,), 0.3)), as_rgb, atol=1e-6)


def test_noise_has_the_deviation_of_each_image():
    std = torch.tensor([0.0, 0.01, 0.1])
    batch = torch.full((3, 3, 100, 100), 0.5)
    torch.manual_seed(0)
    got = noise(batch, std)
    torch.manual_seed(0)
    assert torch.equal(noise(batch, std), got)
    assert not torch.equal(noise(batch, std), got)
    difference = (got - 0.5).flatten(1)
    assert torch.equal(got[0], batch[0])
    np.testing.assert_allclose(difference.std(1), std, rtol=0.02)
    np.testing.assert_allclose(difference.mean(1), 0, atol=0.002)
    np.testing.assert_allclose((difference[2].abs() < 0.1).float().mean(), 0.683, atol=0.01)
    loud = noise(batch, torch.full((3,), 5.0))
    assert loud.min() == 0 and loud.max() == 1


# --------------------------------------------------------------------------------- what all share

N = 6
CALLS = {
    "mirror": lambda x, i: mirror(x, (torch.arange(N) % 2 == 0)[i]),
    "crop": lambda x, i: crop(x, torch.arange(N)[i] % 3, torch.arange(N)[i] % 4, (5, 6)),
    "pad": lambda x, i: pad(x, 3),
    "affine": lambda x, i: affine(
        x, turn_scale_shear(*(torch.linspace(a, b, N)[i] for a, b in ((-50, 50), (0.5, 2), (0, 9))))
    ),
    "cutout": lambda x, i: cutout(x, torch.arange(N)[i], torch.arange(N)[i] - 2, 4, fill=0.3),
    "brightness": lambda x, i: brightness(x, torch.linspace(0, 2, N)[i]),
    "contrast": lambda x, i: contrast(x, torch.linspace(0, 2, N)[i]),
    "saturation": lambda x, i: saturation(x, torch.linspace(0, 2, N)[i]),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_image_does_not_depend_on_its_neighbours(name):
    batch = unit(N, 3, 8, 10)
    together = CALLS[name](batch, slice(None))
    for i in range(N):
        alone = CALLS[name](batch[i : i + 1], slice(i, i + 1))
        np.testing.assert_allclose(alone[0], together[i], atol=1e-6)
