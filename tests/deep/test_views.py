"""Views and crops against slices of numpy arrays."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from visionpipe.deep.data.views import TTA, centre_crop, check_tta, random_crop, views


def pixels(*shape, dtype=torch.uint8):
    numbers = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return torch.from_numpy(numbers).to(dtype)


def layouts(batch):
    return [batch, batch.contiguous(memory_format=torch.channels_last)]


def check(got, expected):
    """Compare with arrays and weights, in any order."""
    assert sum(weight for _, weight in got) == pytest.approx(1)
    assert len(got) == len(expected)
    for array, weight in expected:
        same = [g for g in got if np.array_equal(g[0].numpy(), array)]
        assert len(same) == 1 and same[0][1] == pytest.approx(weight)
        assert same[0][0].numpy().dtype == array.dtype


def pairs(expected):
    for array, weight in expected:
        yield array, weight / 2
        yield array[..., ::-1], weight / 2


@pytest.fixture(params=[torch.uint8, torch.float32], ids=["uint8", "float32"], name="batch")
def _batch(request):
    return pixels(3, 2, 9, 12, dtype=request.param)


# ------------------------------------------------------------------------------------------- views


def test_the_batch_itself(batch):
    for layout in layouts(batch):
        check([*views(layout)], [(batch.numpy(), 1)])


def test_the_centre(batch):
    for layout in layouts(batch):
        check([*views(layout, None, (5, 8))], [(batch.numpy()[:, :, 2:7, 2:10], 1)])
        check([*views(layout, None, 4)], [(batch.numpy()[:, :, 2:6, 4:8], 1)])


@pytest.mark.parametrize("crop_size", [None, (5, 8)])
def test_mirror(batch, crop_size):
    pixels = batch.numpy() if crop_size is None else batch.numpy()[:, :, 2:7, 2:10]
    for layout in layouts(batch):
        check([*views(layout, "mirror", crop_size)], [*pairs([(pixels, 1)])])


def test_shifts(batch):
    padded = np.pad(batch.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    expected = [
        (batch.numpy(), 1 / 2),
        (padded[:, :, 2:, 2:], 1 / 4),  # up and left
        (padded[:, :, :-2, :-2], 1 / 4),
    ]
    for layout in layouts(batch):
        check([*views(layout, "shifts")], [*pairs(expected)])


def test_shifts_of_crops(batch):
    whole = batch.numpy()
    expected = [
        (whole[:, :, 2:7, 2:10], 1 / 2),
        (whole[:, :, 3:8, 3:11], 1 / 4),
        (whole[:, :, 1:6, 1:9], 1 / 4),
    ]
    for layout in layouts(batch):
        check([*views(layout, "shifts", (5, 8))], [*pairs(expected)])


def test_shifts_of_crops_without_room():
    """The crop is as high as the image: reflection comes in above and below."""
    batch = pixels(3, 2, 9, 12)
    padded = np.pad(batch.numpy(), ((0, 0), (0, 0), (1, 1), (0, 0)), mode="reflect")
    expected = [
        (padded[:, :, 1:-1, 2:10], 1 / 2),
        (padded[:, :, 2:, 3:11], 1 / 4),
        (padded[:, :, :-2, 1:9], 1 / 4),
    ]
    check([*views(batch, "shifts", (9, 8))], [*pairs(expected)])


def test_ten_crops(batch):
    whole = batch.numpy()
    crops = [
        whole[:, :, :5, :6],
        whole[:, :, :5, -6:],
        whole[:, :, -5:, :6],
        whole[:, :, -5:, -6:],
        whole[:, :, 2:7, 3:9],
    ]
    for layout in layouts(batch):
        got = [*views(layout, "ten_crops", (5, 6))]
        check(got, [*pairs((crop, 1 / 5) for crop in crops)])


@pytest.mark.parametrize("tta", TTA)
@pytest.mark.parametrize("crop_size", [None, 5, (5, 8), (9, 12)])
def test_shapes_and_weights(batch, tta, crop_size):
    if tta == "ten_crops" and crop_size is None:
        pytest.skip("refused, see below")
    size = {None: (9, 12), 5: (5, 5)}.get(crop_size, crop_size)
    got = [*views(batch, tta, crop_size)]
    assert len(got) == {None: 1, "mirror": 2, "shifts": 6, "ten_crops": 10}[tta]
    assert all(images.shape == (3, 2, *size) for images, _ in got)
    assert all(images.dtype == batch.dtype for images, _ in got)
    assert sum(weight for _, weight in got) == pytest.approx(1)


def test_views_that_there_are_not():
    batch = pixels(3, 2, 9, 12)
    with pytest.raises(ValueError, match="^tta='flip' is unknown; .* None, 'mirror', 'shifts'"):
        check_tta("flip", 5)
    with pytest.raises(ValueError, match="^tta='ten_crops' needs crop_size, "):
        check_tta("ten_crops", None)
    with pytest.raises(ValueError, match="^tta='ten_crops' needs crop_size, "):
        next(views(batch, "ten_crops"))
    with pytest.raises(ValueError, match="10x5 .* does not fit into images of 9x12"):
        next(views(batch, "mirror", (10, 5)))
    for tta in TTA:
        check_tta(tta, 5)


# ------------------------------------------------------------------------------------------- crops


@pytest.mark.parametrize("size", [(4, 7), (9, 12), (1, 1), 5])
def test_centre_crop_leaves_as_much_on_both_sides(batch, size):
    height, width = (size, size) if size == 5 else size
    for layout in layouts(batch):
        got = centre_crop(layout, size)
        above, before = (9 - height) // 2, (12 - width) // 2
        expected = batch.numpy()[:, :, above:, before:][:, :, :height, :width]
        np.testing.assert_array_equal(got, expected)
        below, after = 9 - height - above, 12 - width - before
        assert 0 <= below - above <= 1 and 0 <= after - before <= 1


def test_random_crops_are_uniform(batch):
    torch.manual_seed(0)
    image = batch[:1]
    got = random_crop(image.expand(3000, -1, -1, -1), (6, 9)).numpy()
    assert got.dtype == image.numpy().dtype
    counts = [
        (got == image.numpy()[:, :, top : top + 6, left : left + 9]).all((1, 2, 3)).sum()
        for top in range(4)
        for left in range(4)
    ]
    assert sum(counts) == 3000
    assert chisquare(counts).pvalue > 0.001


def test_random_crops_of_all_of_it_and_of_too_much(batch):
    for layout in layouts(batch):
        assert torch.equal(random_crop(layout, (9, 12)), batch)
    for cut in (random_crop, centre_crop):
        with pytest.raises(ValueError, match="10x10 .* does not fit into images of 9x12"):
            cut(batch, 10)


def test_random_crops_come_from_torchs_generator():
    batch = pixels(8, 3, 20, 20)
    torch.manual_seed(1)
    first, second = random_crop(batch, 9), random_crop(batch, 9)
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(random_crop(batch, 9), first)


def test_nothing_waits_for_a_gpu():
    """A tensor without numbers cannot be asked for one, nor mixed with those of another device."""
    batch = torch.empty((8, 3, 9, 12), dtype=torch.uint8, device="meta")
    seen = [random_crop(batch, 5), *(images for tta in TTA for images, _ in views(batch, tta, 5))]
    assert all(images.device.type == "meta" for images in seen)
