"""The displays: numbers against scikit-image and slow versions, and scikit-learn's conventions."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from skimage.data import astronaut
from skimage.feature import hog as skimage_hog
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from visionpipe import (
    HOG,
    LBP,
    SIFT,
    VLAD,
    BagOfVisualWords,
    DenseSIFT,
    Descriptors,
    FisherVector,
    Grayscale,
    HOGDisplay,
    KeypointsDisplay,
    Resize,
    RootSIFT,
    Unflatten,
    VisualWordsDisplay,
)
from visionpipe.displays import visual_words
from visionpipe.displays.patches import cut_patch

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

RNG = np.random.default_rng(0)
ASTRONAUT = astronaut()[:200:2, 150:350:2]  # (100, 100, 3)
STRIPES = np.where(np.arange(32) // 4 % 2, 0.9, 0.1)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def texture_images(n_each=6):
    """Images of upright stripes, then of lying ones, with noise of their own."""
    upright, lying = np.tile(STRIPES, (32, 1)), np.tile(STRIPES[:, None], (1, 32))
    images = np.stack([upright] * n_each + [lying] * n_each)
    return images + np.random.default_rng(0).uniform(-0.1, 0.1, images.shape)


TEXTURES = texture_images()
DENSE = DenseSIFT(step=5, bin_sizes=(4,))


def fitted(encoder):
    return make_pipeline(DENSE, encoder).fit(TEXTURES)


MODEL = fitted(BagOfVisualWords(2, random_state=0))
SETS = DENSE.transform(TEXTURES)


def ramp(degrees, size=48):
    """An image whose gradient points in one direction, clockwise from the x axis."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    along = np.cos(np.deg2rad(degrees)) * x + np.sin(np.deg2rad(degrees)) * y
    return 0.5 + along / 2


def angle_between(first, second):
    """Degrees between two directions without a sense."""
    return abs((first - second + 90) % 180 - 90)


# ------------------------------------------------------------------------------------ HOGDisplay


def strongest_stroke(display):
    """Direction in degrees, clockwise from the x axis, and both ends."""
    ends = display.strokes_.get_segments()[-1]
    return np.rad2deg(np.arctan2(*(ends[1] - ends[0])[::-1])), ends


@pytest.mark.parametrize("degrees", [3, 30, 64, 97, 130, 151])
def test_strokes_lie_along_the_edge_as_those_of_scikit_image(degrees):
    image = ramp(degrees)
    options = {"pixels_per_cell": (16, 16), "cells_per_block": (1, 1)}
    found, ends = strongest_stroke(HOGDisplay.from_estimator(HOG(**options), image))
    assert angle_between(found, degrees + 90) <= 10  # half a bin
    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(16)

    _, picture = skimage_hog(image, visualize=True, **options)
    y, x = np.nonzero(picture[16:32, 16:32] > picture.max() / 2)
    (_, along) = np.linalg.eigh(np.cov(x, y))[1].T
    assert angle_between(found, np.rad2deg(np.arctan2(along[1], along[0]))) < 8


def test_an_edge_is_drawn_where_it_is():
    image = np.zeros((32, 48), dtype=np.uint8)
    image[:, 20:] = 200  # within the third column of cells
    display = HOGDisplay.from_estimator(HOG(cells_per_block=(1, 1)), image)
    segments = np.array(display.strokes_.get_segments())  # (m, 2, 2)
    np.testing.assert_allclose(segments.mean(axis=1)[:, 0], 19.5)  # between columns 16 and 23
    np.testing.assert_allclose(sorted(segments.mean(axis=1)[:, 1]), [3.5, 11.5, 19.5, 27.5])
    assert (abs(np.diff(segments, axis=1)[..., 0]) < abs(np.diff(segments, axis=1)[..., 1])).all()


def test_a_cell_is_the_mean_over_the_blocks_it_is_in():
    hog = HOG(orientations=5, pixels_per_cell=(10, 20), cells_per_block=(3, 2))
    cells = HOGDisplay.from_estimator(hog, ASTRONAUT).cells
    assert cells.shape == (10, 5, 5)
    blocks = hog.transform([ASTRONAUT]).reshape(8, 4, 3, 2, 5)
    for r, c in np.ndindex(10, 5):
        inside = [
            blocks[i, j, r - i, c - j]
            for i, j in np.ndindex(8, 4)
            if 0 <= r - i < 3 and 0 <= c - j < 2
        ]
        np.testing.assert_allclose(cells[r, c], np.mean(inside, axis=0), rtol=1e-6)


def test_hog_in_a_pipeline_gets_what_comes_before_it():
    pipeline = make_pipeline(Grayscale(), make_pipeline(Resize((40, 48)), HOG()), LinearSVC())
    display = HOGDisplay.from_estimator(pipeline, ASTRONAUT)
    assert display.image.shape == (40, 48)
    assert display.cells.shape == (5, 6, 9)
    assert display.pixels_per_cell == (8, 8)
    rows = make_pipeline(Unflatten((24, 24)), HOG())
    assert HOGDisplay.from_estimator(rows, RNG.random(576)).image.shape == (24, 24)


def test_a_fitted_hog_shows_images_of_other_sizes():
    hog = HOG().fit([ASTRONAUT])
    assert HOGDisplay.from_estimator(hog, ASTRONAUT[:50]).cells.shape == (6, 12, 9)
    assert hog.image_shape_in_ == (100, 100, 3)


def test_a_blank_image_has_no_strokes():
    display = HOGDisplay.from_estimator(HOG(), np.full((32, 32), 7, dtype=np.uint8))
    assert display.strokes_.get_segments() == []
    display.figure_.canvas.draw()


# ------------------------------------------------------------------------------ KeypointsDisplay


@pytest.mark.parametrize("describer", [SIFT(), RootSIFT(detector="sift"), DENSE])
def test_circles_are_the_frames(describer):
    display = KeypointsDisplay.from_estimator(describer, ASTRONAUT)
    frames = describer.transform([ASTRONAUT]).frames
    np.testing.assert_array_equal(display.frames, frames)
    paths = np.array(display.circles_.get_segments())  # (n, m, 2)
    centres, rims = paths[:, 0], paths[:, 1:]
    np.testing.assert_allclose(centres, frames[:, :2])
    radii = np.linalg.norm(rims - centres[:, None], axis=2)
    np.testing.assert_allclose(radii, np.broadcast_to(2 * frames[:, 2:3], radii.shape), rtol=1e-4)
    x, y = (rims[:, 0] - centres).T
    turns = (np.arctan2(y, x) - frames[:, 3]) / (2 * np.pi)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-3)
    assert display.ax_.get_title() == f"{len(frames)} key points"


def test_the_strongest_key_points_come_first():
    sift = SIFT(detector="sift")
    display = KeypointsDisplay.from_estimator(sift, ASTRONAUT, n_keypoints=10)
    frames = sift.transform([ASTRONAUT]).frames
    np.testing.assert_array_equal(display.frames, frames[:10])
    assert display.n_found == len(frames) > 10
    assert display.ax_.get_title() == f"10 of {len(frames)} key points"


def test_some_key_points_of_a_grid_lie_all_over_the_image():
    for describer in (DENSE, SIFT(detector="dense")):
        first, second = (
            KeypointsDisplay.from_estimator(describer, ASTRONAUT, n_keypoints=20) for _ in range(2)
        )
        np.testing.assert_array_equal(first.frames, second.frames)
        assert len(first.frames) == 20
        assert np.ptp(first.frames[:, 1]) > 50


def test_an_image_without_key_points_is_just_drawn():
    blank = np.zeros((40, 40), dtype=np.uint8)
    for describer in (SIFT(), make_pipeline(Resize(8), DENSE)):
        display = KeypointsDisplay.from_estimator(describer, blank)
        assert display.circles_.get_segments() == []
        assert display.ax_.get_title() == "0 key points"
        display.figure_.canvas.draw()


# ----------------------------------------------------------------------------------------- patches


def test_an_upright_patch_is_a_piece_of_the_image():
    image = RNG.random((20, 24, 3), dtype=np.float32)
    patch = cut_patch(image, (9.5, 7.5, 2, 0), 8)
    np.testing.assert_allclose(patch, image[4:12, 6:14], atol=1e-6)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_patch_is_turned_upright(quarters):
    image = RNG.integers(0, 256, (20, 24), dtype=np.uint8)
    patch = cut_patch(image, (9.5, 7.5, 2, quarters * np.pi / 2), 8)
    # clockwise as the image is seen, so that upright is back, counterclockwise
    expected = np.rot90(image[4:12, 6:14], quarters) / 255
    np.testing.assert_allclose(patch, np.repeat(expected[..., None], 3, axis=2), atol=1e-6)


def test_descriptors_that_are_alike_have_patches_that_are_alike():
    """The angle has the sense that SIFT gives it: it turns an image and the image turned alike."""
    image = astronaut()[:240, 120:360]
    turned = np.rot90(image)
    sets = SIFT(detector="sift").transform([image, turned])
    distances = cdist(sets[0], sets[1])
    pairs = np.argwhere(distances < 60)  # of vectors of length 512
    assert len(pairs) > 10
    first, second = sets[:1].frames, sets[1:].frames
    differences = [
        abs(cut_patch(image, first[i], 24) - cut_patch(turned, second[j], 24)).mean()
        for i, j in pairs
    ]
    assert np.median(differences) < 0.05  # with the other sense 0.19


def test_beyond_the_rim_the_border_is_repeated():
    image = np.arange(36, dtype=np.float32).reshape(6, 6) / 36
    expected = np.pad(image, 3, mode="edge")[:8, :8]
    np.testing.assert_allclose(cut_patch(image, (0.5, 0.5, 2, 0), 8)[..., 0], expected, atol=1e-6)


def test_a_large_patch_shrinks_without_aliasing():
    checks = (np.indices((64, 64)).sum(axis=0) % 2).astype(np.float32)
    np.testing.assert_allclose(cut_patch(checks, (31.5, 31.5, 8, 0), 16), 0.5, atol=1e-6)


# ----------------------------------------------------------------------------- VisualWordsDisplay


@pytest.mark.parametrize("encoder", [BagOfVisualWords(2, random_state=0), VLAD(2, random_state=0)])
def test_words_of_two_textures_show_the_images_of_each(encoder):
    model = make_pipeline(fitted(encoder), LinearSVC())
    display = VisualWordsDisplay.from_estimator(model, TEXTURES, n_patches=4, patch_size=16)
    assert sorted(display.words) == [0, 1]
    kinds = [np.unique(indices // 6).tolist() for indices in display.image_indices]
    assert sorted(kinds) == [[0], [1]]
    for kind, patches, indices in zip(kinds, display.patches, display.image_indices, strict=True):
        assert patches.shape == (4, 16, 16, 3)
        assert len(set(indices)) == 4
        down, across = abs(np.diff(patches, axis=1)).mean(), abs(np.diff(patches, axis=2)).mean()
        assert (across > 2 * down) if kind == [0] else (down > 2 * across)


@pytest.mark.parametrize("batch", [None, 1, 5])
def test_patches_are_the_nearest_in_their_images(monkeypatch, batch):
    if batch:
        monkeypatch.setattr(visual_words, "IMAGES_PER_BATCH", batch)
        monkeypatch.setattr(visual_words, "DESCRIPTORS_PER_BATCH", 7)
    encoder = BagOfVisualWords(6, random_state=0)
    display = VisualWordsDisplay.from_estimator(fitted(encoder), TEXTURES, n_words=9, n_patches=3)

    distances = cdist(SETS.values, encoder.words_)
    nearest, images = distances.argmin(axis=1), np.repeat(np.arange(12), SETS.counts)
    np.testing.assert_array_equal(display.counts, np.sort(np.bincount(nearest))[::-1])
    for i, word in enumerate(display.words):
        assert display.counts[i] == (nearest == word).sum()
        best = []
        for image in range(12):
            rows = np.flatnonzero((nearest == word) & (images == image))
            if len(rows):
                best.append((distances[rows, word].min(), image))
        best = sorted(best)[:3]
        np.testing.assert_allclose(display.distances[i], [d for d, _ in best], rtol=1e-3)
        for distance, image, frame in zip(
            display.distances[i], display.image_indices[i], display.frames[i], strict=True
        ):
            row = np.flatnonzero((images == image) & (SETS.frames == frame).all(axis=1))
            assert distances[row, word] == pytest.approx(distance, rel=1e-3)


def test_descriptors_of_the_encoder_alone():
    alone = VisualWordsDisplay.from_estimator(MODEL[-1], TEXTURES, descriptors=SETS)
    piped = VisualWordsDisplay.from_estimator(MODEL, TEXTURES)
    for first, second in zip(alone.patches, piped.patches, strict=True):
        np.testing.assert_array_equal(first, second)


def test_patches_are_turned_by_the_angle_of_the_frame():
    image = RNG.integers(0, 256, (20, 20), dtype=np.uint8)
    frames = [[7.5, 9.5, 2, np.pi / 2], [7.5, 9.5, 2, 0]]
    values = np.array([[0.0, 0.0], [9.0, 9.0]])
    sets = Descriptors(values, [0, 2], frames=frames, image_sizes=[(20, 20)])
    encoder = BagOfVisualWords(2, random_state=0).fit(sets)
    turned = int(encoder.words_.sum(axis=1).argmin())
    display = VisualWordsDisplay.from_estimator(
        encoder, [image], descriptors=sets, words=[turned, 1 - turned], patch_size=8
    )
    square = image[6:14, 4:12] / 255
    np.testing.assert_allclose(display.patches[0][0, ..., 0], np.rot90(square), atol=1e-6)
    np.testing.assert_allclose(display.patches[1][0, ..., 0], square, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(display.distances), 0, atol=1e-3)


def test_words_can_be_chosen_and_may_have_no_patch():
    upright_word = MODEL[-1].transform(SETS[:1]).argmax()
    display = VisualWordsDisplay.from_estimator(
        MODEL, TEXTURES[:6], words=[1 - upright_word, upright_word], n_patches=2
    )
    assert display.words.tolist() == [1 - upright_word, upright_word]
    assert [len(patches) for patches in display.patches] == [0, 2]
    assert display.counts[0] == 0
    display.figure_.canvas.draw()


def test_images_of_several_sizes_and_colours():
    pipeline = make_pipeline(SIFT(max_keypoints=30), BagOfVisualWords(5, random_state=0))
    images = [ASTRONAUT, ASTRONAUT[:70, :, 0], np.zeros((50, 50), dtype=np.uint8)]
    display = VisualWordsDisplay.from_estimator(pipeline.fit(images), images, n_patches=4)
    assert 2 not in np.concatenate(display.image_indices)
    assert max(map(len, display.patches)) == 2  # at most one of an image


def test_words_are_drawn_with_labels_and_distances():
    display = VisualWordsDisplay.from_estimator(MODEL, TEXTURES, n_patches=3)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    counts = zip(display.words, display.counts, strict=True)
    assert labels == [f"word {word}\nn = {n}" for word, n in counts]
    assert len(display.text_) == 6
    assert display.text_[0].get_text() == f"{display.distances[0][0]:.3g}"
    mosaic = display.im_.get_array()
    np.testing.assert_allclose(mosaic[:48, 52:100, :3], display.patches[0][1])
    assert display.plot(include_distances=False).text_ == []


# ----------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("display", "estimator", "message"),
    [
        (HOGDisplay, LBP(), "HOGDisplay got a LBP; wanted a HOG, or a Pipeline"),
        (HOGDisplay, make_pipeline(Resize(9), LBP()), "got a Pipeline of Resize, LBP; wanted"),
        (KeypointsDisplay, HOG(), "got a HOG; wanted a local descriptor \\(SIFT, RootSIFT"),
        (VisualWordsDisplay, FisherVector(), "got a FisherVector; wanted .*FisherVector has none"),
        (VisualWordsDisplay, make_pipeline(SIFT(), "passthrough"), "got a Pipeline of SIFT; want"),
    ],
)
def test_estimators_of_the_wrong_kind(display, estimator, message):
    with pytest.raises(ValueError, match=message):
        display.from_estimator(estimator, ASTRONAUT)
    assert plt.get_fignums() == []


def test_images_that_cannot_be_shown():
    with pytest.raises(ValueError, match="image 0 has shape"):
        HOGDisplay.from_estimator(HOG(), TEXTURES[None])
    with pytest.raises(ValueError, match="need at least"):
        HOGDisplay.from_estimator(HOG(), ASTRONAUT[:20])
    with pytest.raises(ValueError, match="n_keypoints=-1; wanted 0 or more"):
        KeypointsDisplay.from_estimator(SIFT(), ASTRONAUT, n_keypoints=-1)
    with pytest.raises(ValueError, match="VisualWordsDisplay.*got no images"):
        VisualWordsDisplay.from_estimator(MODEL, TEXTURES[:0])
    assert plt.get_fignums() == []


def test_an_encoder_that_is_not_fitted():
    for estimator in (make_pipeline(SIFT(), VLAD()), BagOfVisualWords()):
        with pytest.raises(NotFittedError):
            VisualWordsDisplay.from_estimator(estimator, TEXTURES, descriptors=SETS)


NO_FRAMES = Descriptors(SETS.values, SETS.offsets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give a fitted Pipeline of .* or with the encoder descriptors="),
        ({"descriptors": NO_FRAMES}, "descriptors without frames"),
        ({"descriptors": SETS[:3]}, "got 12 images and descriptors of 3"),
        ({"descriptors": DENSE.transform(TEXTURES[:, 3:])}, r"\(32, 32\) .* of one of \(29, 32\)"),
        ({"descriptors": DENSE.set_params(color="grey").transform(TEXTURES[:, :9, :9])}, "9, 9"),
        ({"descriptors": SETS, "words": [2]}, "words from 2 to 2; the encoder has words 0 to 1"),
        ({"descriptors": SETS, "words": [0.5]}, "wanted a row of ints"),
        ({"descriptors": SETS, "n_patches": 0}, "n_patches=0; wanted 1 or more"),
    ],
)
def test_an_encoder_alone_needs_its_descriptors(options, message):
    with pytest.raises(ValueError, match=message):
        VisualWordsDisplay.from_estimator(MODEL[-1], TEXTURES, **options)


def test_descriptors_of_another_length():
    sets = DenseSIFT(step=5, bin_sizes=(4,), color="rgb").transform(TEXTURES)
    with pytest.raises(ValueError, match="length 384; the words of the BagOfVisualWords .* 128"):
        VisualWordsDisplay.from_estimator(MODEL[-1], TEXTURES, descriptors=sets)


def test_images_without_descriptors():
    model = make_pipeline(SIFT(), BagOfVisualWords(2, random_state=0)).fit([ASTRONAUT])
    blank = np.zeros((2, 40, 40), dtype=np.uint8)
    with pytest.raises(ValueError, match="images without descriptors"):
        VisualWordsDisplay.from_estimator(model, blank)


# --------------------------------------------------------------------------- scikit-learn's ways

MADE = {
    HOGDisplay: lambda **options: HOGDisplay.from_estimator(HOG(), ASTRONAUT, **options),
    KeypointsDisplay: lambda **options: KeypointsDisplay.from_estimator(
        SIFT(), ASTRONAUT, **options
    ),
    VisualWordsDisplay: lambda **options: VisualWordsDisplay.from_estimator(
        MODEL, TEXTURES, **options
    ),
}
every_display = pytest.mark.parametrize("display", list(MADE))


@every_display
def test_axes_given_are_drawn_into(display):
    figure, axes = plt.subplots(1, 2)
    shown = MADE[display](ax=axes[1])
    assert shown.ax_ is axes[1]
    assert shown.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert not axes[0].has_data()
    assert shown.plot() is shown
    assert shown.figure_ is not figure
    shown.figure_.canvas.draw()


@every_display
def test_the_constructor_only_assigns(display):
    names = [name for name in inspect.signature(display).parameters if name != "self"]
    values = {name: object() for name in names}
    assert vars(display(**values)) == values
    assert plt.get_fignums() == []


@every_display
def test_the_image_sets_the_limits(display):
    shown = MADE[display]()
    height, width = shown.ax_.images[0].get_array().shape[:2]
    assert shown.ax_.get_xlim() == (-0.5, width - 0.5)
    assert shown.ax_.get_ylim() == (height - 0.5, -0.5)


def test_further_parameters_reach_matplotlib():
    circles = MADE[KeypointsDisplay](line_kw={"colors": "red", "linewidths": 3}).circles_
    assert circles.get_linewidths() == [3]
    assert MADE[HOGDisplay](cmap="gray", line_kw={"linewidths": 2}).strokes_.cmap.name == "gray"
    assert MADE[VisualWordsDisplay](im_kw={"alpha": 0.5}).im_.get_alpha() == 0.5


@every_display
def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch, display):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=rf"{display.__name__} .* 'visionpipe\[plots\]'"):
        MADE[display]()


def test_importing_the_displays_does_not_import_matplotlib():
    code = "import sys, visionpipe.displays; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
