"""Duplicates among real pictures, changed with Pillow, and bits against all pairs of them."""

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance
from skimage.data import astronaut
from sklearn.model_selection import StratifiedGroupKFold

from visionpipe import ImageReadError, as_images, load_digits_images, load_faces
from visionpipe.duplicates import Duplicates, find_duplicates
from visionpipe.duplicates import finding as module

N = 24


def photographs(h=96, w=128):
    """Places of a photograph that do not overlap much, (24, h, w, 3)."""
    ys, xs = np.meshgrid(np.linspace(0, 512 - h, 6), np.linspace(0, 512 - w, 4), indexing="ij")
    places = np.column_stack([ys.ravel(), xs.ravel()]).astype(int)
    return np.stack([astronaut()[y : y + h, x : x + w] for y, x in places])


def compressed(quality):
    def change(picture):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return change


def marked(picture):
    picture = picture.copy()
    ImageDraw.Draw(picture).rectangle((5, 88, 9, 91), fill=(160, 160, 160))
    return picture


CHANGES = {
    "compressed": compressed(85),
    "compressed hard": compressed(40),
    "half as large": lambda picture: picture.resize((64, 48), Image.Resampling.BICUBIC),
    "twice as large": lambda picture: picture.resize((256, 192), Image.Resampling.BICUBIC),
    "stretched": lambda picture: picture.resize((150, 96), Image.Resampling.LANCZOS),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.8),
    "flatter": lambda picture: ImageEnhance.Contrast(picture).enhance(0.8),
    "grey": lambda picture: picture.convert("L"),
    "marked": marked,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_pictures_are_near_and_others_are_not(change):
    images = photographs()
    changed = [np.asarray(change(Image.fromarray(image))) for image in images]
    found = find_duplicates([*images, *changed])
    expected = [[i, i + N] for i in range(N)]
    assert [pair for pair in found.pairs.tolist() if pair not in expected] == []
    assert len(found) >= N - 2
    assert not found.is_exact.any()
    assert (found.similarity >= 0.98).all() and (found.similarity < 1.000001).all()


def test_what_is_out_of_scope_is_not_found():
    images = photographs()
    for other in (images[:, :, ::-1], images[:, ::-1], 255 - images):
        assert len(find_duplicates([*images, *other])) == 0


def test_digits_and_faces_that_look_alike_are_no_duplicates():
    assert len(find_duplicates(load_digits_images().images)) == 0
    assert len(find_duplicates(load_faces().images)) == 0


def test_the_similarity_is_a_correlation_of_details():
    images = photographs()[:2]
    marked_one = np.asarray(marked(Image.fromarray(images[0])))
    (found,) = find_duplicates([images[0], marked_one], least_similarity=0.5).similarity
    expected = np.corrcoef(textbook_details(images[0]), textbook_details(marked_one))[0, 1]
    assert found == pytest.approx(expected, abs=2e-3)
    assert len(find_duplicates([images[0], marked_one], least_similarity=found)) == 1
    assert len(find_duplicates([images[0], marked_one], least_similarity=found + 1e-6)) == 0


def textbook_details(image):
    """Grey at 32x32 less the mean of the 5x5 around, pixel by pixel."""
    small = Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR)
    grey = np.asarray(small) @ np.array([0.2125, 0.7154, 0.0721])
    return np.array(
        [
            grey[y, x] - grey[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].mean()
            for y in range(32)
            for x in range(32)
        ]
    )


# ------------------------------------------------------------------------------------------- exact


def test_equal_pixels_in_any_form_are_exact(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)
    for name in ("a.png", "b.bmp", "c.tif"):
        Image.fromarray(grey).save(tmp_path / name)
    Image.fromarray(grey).convert("RGB").save(tmp_path / "d.png")
    forms = [
        grey,
        *(tmp_path / name for name in ("a.png", "b.bmp", "c.tif", "d.png")),
        grey[..., None].repeat(3, -1),
        grey / 255,
        (grey / 255).astype(np.float32),
    ]
    found = find_duplicates(forms)
    assert found.pairs.tolist() == [[0, i] for i in range(1, 8)]
    assert found.is_exact.all() and (found.similarity == 1).all()


def test_one_bit_or_another_shape_is_not_exact():
    image = np.random.default_rng(0).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    other = image.copy()
    other[7, 5, 2] += 1
    found = find_duplicates([image, other, image.reshape(6, 8, 3), image / 255 + 1e-6])
    assert not found.is_exact.any()
    assert [0, 1] in found.pairs.tolist() and [0, 3] in found.pairs.tolist()


def test_blank_images_are_exact_or_nothing():
    blank = [np.full((40, 30), level, dtype=np.uint8) for level in (0, 255, 7, 7, 8, 255)]
    noise = np.random.default_rng(0).integers(100, 103, (2, 40, 30), dtype=np.uint8)
    found = find_duplicates([*blank, *noise, np.full((41, 30), 7, dtype=np.uint8)])
    assert found.pairs.tolist() == [[1, 5], [2, 3]]
    assert found.is_exact.all()


@pytest.mark.parametrize("contrast, is_near", [(2, False), (12, True)])
def test_what_could_be_noise_is_not_compared(contrast, is_near):
    pattern = np.random.default_rng(0).integers(0, 2, (8, 8)).repeat(4, axis=0).repeat(4, axis=1)
    image = (100 + contrast * pattern).astype(np.uint8)
    other = image.copy()
    other[0, 0] += 1
    assert len(find_duplicates([image, other])) == is_near


def test_many_equal_images_make_no_square():
    images = np.zeros((3000, 4, 4), dtype=np.uint8)
    found = find_duplicates(images)
    assert found.pairs.tolist() == [[0, i] for i in range(1, 3000)]
    assert (found.groups() == 0).all()
    assert len(found.across(np.arange(1000), np.arange(1000, 3000))) == 2000


# ------------------------------------------------------------------------------------------ hashes


def hashes_with_twins(n=600, seed=0):
    """Random hashes, each fourth a copy of another with up to 9 bits flipped."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 1 << 64, n, dtype=np.uint64)
    for i in range(0, n, 4):
        flipped = rng.choice(64, rng.integers(0, 10), replace=False)
        hashes[i] = hashes[rng.integers(n)] ^ np.uint64(sum(1 << int(bit) for bit in flipped))
    return hashes


@pytest.mark.parametrize("pairs_per_chunk", [1, 50, 1 << 18])
def test_blocks_find_all_pairs_that_differ_by_six_bits_once(pairs_per_chunk, monkeypatch):
    monkeypatch.setattr(module, "PAIRS_PER_CHUNK", pairs_per_chunk)
    hashes = hashes_with_twins(200 if pairs_per_chunk == 1 else 600)
    hashes[5:12] = hashes[5]
    found = np.concatenate([*module._pairs_of_alike(hashes)], axis=1)
    found = [tuple(sorted(pair)) for pair in found.T.tolist()]
    expected = [
        (i, j)
        for i, j in combinations(range(len(hashes)), 2)
        if int(hashes[i] ^ hashes[j]).bit_count() <= 6
    ]
    assert sorted(found) == expected and len(expected) > 40


def test_every_bit_is_in_one_block():
    assert int(np.bitwise_or.reduce(module.BLOCKS)) == (1 << 64) - 1
    assert [int(block).bit_count() for block in module.BLOCKS] == [8] * (module.MOST_BITS + 2)


def test_products_are_exact():
    details = np.random.default_rng(0).choice(np.array([-127, 127], np.int8), (300, 1024))
    i, j = np.divmod(np.arange(300), 17)
    expected = (details[i].astype(int) * details[j]).sum(1)
    np.testing.assert_array_equal(module._products(details, i, j), expected)


# --------------------------------------------------------------------- one result, whatever the way


def same(one, two):
    for name in ("pairs", "is_exact", "similarity"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_batches_and_threads_do_not_matter(monkeypatch):
    images = photographs()
    images = [*images, *(images[::3] // 5 * 4), *images[::5], *images[:5, ::2, ::2]]
    images += [image / 255 for image in images[:4]]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = find_duplicates(images)
    assert len(alone) > 15 and alone.is_exact.any() and not alone.is_exact.all()
    monkeypatch.setattr("visionpipe.images.PIXELS_PER_BATCH", 1)
    monkeypatch.setattr(module, "SMALL_AT_ONCE", 5)
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 1)
    monkeypatch.setattr(module, "PAIRS_PER_CHUNK", 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    same(find_duplicates(images), alone)


def test_files_are_as_arrays(tmp_path):
    images = [*photographs()[:6], photographs()[2], photographs()[4] // 4 * 3]
    paths = []
    for i, image in enumerate(images):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    same(find_duplicates(paths), find_duplicates(images))
    same(find_duplicates(as_images(paths)[::-1]), find_duplicates(images[::-1]))


def test_the_order_of_images_does_not_matter():
    images = [*photographs(), *(photographs() // 5 * 4)]
    order = np.random.default_rng(0).permutation(len(images))
    found = find_duplicates([images[i] for i in order]).pairs
    expected = find_duplicates(images).pairs.tolist()
    assert sorted(map(sorted, order[found].tolist())) == expected


# ------------------------------------------------------------------------------------- bad input


def test_one_image_is_alone():
    found = find_duplicates(photographs()[:1])
    assert len(found) == 0 and found.pairs.shape == (0, 2)
    assert str(found) == "duplicates among 1 images: 0 exact, 0 near (0 images in 0 groups)"
    assert found.groups().tolist() == [0]
    assert len(found.across([0], [])) == len(found.with_other_label(["a"])) == 0


def test_bad_input():
    with pytest.raises(ValueError, match=r"find_duplicates.*no images"):
        find_duplicates([])
    for least in (0, -1, 1.01, np.nan):
        with pytest.raises(ValueError, match="least_similarity=.*above 0 and at most 1"):
            find_duplicates(photographs(), least_similarity=least)
    with pytest.raises(ValueError, match="NaN"):
        find_duplicates([np.full((5, 5), np.nan)])


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(ImageReadError, match=r"bad\.png"):
        find_duplicates([photographs()[0], tmp_path / "bad.png"])


# --------------------------------------------------------------------------------------- Duplicates

# Equal: 0, 3, 6 and 1, 4. Near: 0-1 and 2-5. Alone: 7.
FIRST = np.array([0, 1, 2, 0, 1, 5, 0, 7])
PAIRS = [[0, 3], [1, 0], [2, 5], [6, 0], [1, 4]]
ALIKE = [1, 0.99, 0.98, 1, 1]
EVERY = {(0, 3), (0, 6), (3, 6), (1, 4), (1, 6), (2, 5), (4, 6)} | {(0, 1), (0, 4), (1, 3), (3, 4)}


def by_hand():
    return Duplicates(FIRST, PAIRS, ALIKE)


def test_pairs_are_in_order():
    found = by_hand()
    assert found.pairs.tolist() == [[0, 1], [0, 3], [0, 6], [1, 4], [2, 5]]
    assert found.similarity.tolist() == [0.99, 1, 1, 1, 0.98]
    assert found.is_exact.tolist() == [False, True, True, True, False]
    assert str(found) == "duplicates among 8 images: 3 exact, 2 near (7 images in 2 groups)"
    assert repr(found) == f"<{found}>"


def test_groups():
    found = by_hand()
    assert found.groups().tolist() == [0, 0, 1, 0, 0, 1, 0, 2]
    persons = ["a", "b", "c", "d", "e", "f", "g", "f"]
    assert found.groups(persons).tolist() == [0, 0, 1, 0, 0, 1, 0, 1]
    alone = Duplicates(np.arange(4), [], [])
    assert alone.groups([5, 3, 5, 3]).tolist() == [0, 1, 0, 1]
    with pytest.raises(ValueError, match=r"8 images and groups of shape \(3,\)"):
        found.groups([1, 2, 3])


def test_groups_keep_twins_on_one_side():
    images = photographs()
    images = [*images, *images, *(images // 5 * 4)]
    found, y = find_duplicates(images), np.arange(len(images)) % 2
    for train, test in StratifiedGroupKFold(3).split(images, y, found.groups()):
        assert len(found.across(train, test)) == 0
    assert len(found.across(np.arange(N), np.arange(N, 3 * N))) == 2 * N


def test_across_finds_whatever_any_split_tears():
    found = by_hand()
    for sides in np.random.default_rng(0).integers(0, 3, (300, 8)):
        train, test = np.flatnonzero(sides == 1), np.flatnonzero(sides == 2)
        torn = found.across(train, test)
        expected = {pair for pair in EVERY if sorted(sides[list(pair)]) == [1, 2]}
        got = {tuple(pair) for pair in torn.pairs.tolist()}
        assert len(got) == len(torn) and got <= expected

        def tested(pairs, test=test):
            return {image for pair in pairs for image in pair if image in test}

        assert tested(got) == tested(expected)
        equal = [FIRST[i] == FIRST[j] for i, j in torn.pairs]
        assert torn.is_exact.tolist() == equal
        assert ((torn.similarity == 1) == torn.is_exact).all()


def test_across_takes_masks_and_refuses_overlaps():
    found, mask = by_hand(), np.arange(8) < 4
    same(found.across(mask, ~mask), found.across([0, 1, 2, 3], [-1, 4, 5, 6, 7]))
    assert found.across(mask, ~mask).pairs.tolist() == [[0, 4], [0, 6], [1, 4], [1, 6], [2, 5]]
    with pytest.raises(ValueError, match="2 images, the first of them 3, are in train and in test"):
        found.across([1, 3, 4], [3, 4, 5])
    with pytest.raises(IndexError):
        found.across([0], [8])


def test_labels():
    found = by_hand()
    odd = found.with_other_label(list("aaabaaaa"))
    assert odd.pairs.tolist() == [[0, 3]] and odd.is_exact.all()
    assert found.with_other_label(np.arange(8)).pairs.tolist() == found.pairs.tolist()
    assert found.across([0, 1, 2], [3, 5]).with_other_label(list("aaabaaaa")).pairs.tolist() == [
        [0, 3],
        [1, 3],
    ]
    with pytest.raises(ValueError, match=r"labels of shape \(2,\)"):
        found.with_other_label(["a", "b"])
