"""Displays of networks and explanations: the right numbers in the right places."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from torch import nn

from visionpipe import HOG, CNNClassifier, Resize
from visionpipe.deep.autoencoder import Autoencoder
from visionpipe.displays.explanation import ExplanationDisplay
from visionpipe.displays.feature_maps import FeatureMapsDisplay
from visionpipe.displays.filters import FiltersDisplay
from visionpipe.displays.mosaic import caption_places, mosaic_of
from visionpipe.displays.training import TrainingCurvesDisplay
from visionpipe.inspection import feature_maps, filters, grad_cam, occlusion_map

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 20, 24, 3), dtype=np.uint8)
LABELS = np.where(np.arange(40) % 2, "cat", "dog")


def network(module, **options):
    return CNNClassifier(module, **{"max_epochs": 2, "random_state": 0} | options)


CIFARNET = network("cifarnet", max_epochs=1).fit(IMAGES, LABELS)
LENET = make_pipeline(Resize(28), network("lenet", validation_fraction=0.2))
LENET = LENET.fit(IMAGES[..., 0], LABELS)
SOFTMAX = network("softmax").fit(IMAGES[..., 0], LABELS)
HOG_SVM = make_pipeline(HOG(pixels_per_cell=(5, 5)), LinearSVC()).fit(IMAGES, LABELS)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# ---------------------------------------------------------------------------------------- mosaic


@pytest.mark.parametrize("captioned", [True, False])
@pytest.mark.parametrize(("n", "grid"), [(1, (1, 1)), (2, (1, 2)), (6, (2, 3)), (10, (3, 4))])
def test_every_tile_is_in_the_mosaic_once(n, grid, captioned):
    tiles = RNG.random((n, 16, 24, 3), dtype=np.float32)
    mosaic = mosaic_of(tiles, captioned=captioned)
    down, across = 16 + (5 if captioned else 2), 24 + 2
    assert mosaic.shape == (grid[0] * down - down + 16, grid[1] * across - 2, 3)
    for k, tile in enumerate(tiles):
        top, left = k // grid[1] * down, k % grid[1] * across
        place = mosaic[top : top + 16, left : left + 24]
        np.testing.assert_array_equal(place, tile)
        place[:] = np.nan
    assert np.isnan(mosaic).all()


def test_captions_are_above_their_tiles():
    places = caption_places(np.zeros((5, 9, 4)))  # three columns; steps of 9 + 3 and 4 + 1
    expected = [(1.5, -0.5), (6.5, -0.5), (11.5, -0.5), (1.5, 11.5), (6.5, 11.5)]
    np.testing.assert_array_equal(places, expected)


# --------------------------------------------------------------------------------------- filters


def test_filters_of_grey_images_are_drawn_from_negative_to_positive():
    display = FiltersDisplay.from_estimator(LENET)
    weights = filters(LENET)
    np.testing.assert_array_equal(display.filters, weights)
    np.testing.assert_array_equal(display.im_.get_array()[:5, :5], weights[0, ..., 0])
    assert display.im_.get_clim() == (-abs(weights).max(), abs(weights).max())
    assert display.colorbar_.ax.get_ylabel() == "weight"
    assert display.ax_.get_title() == "conv1: 6 filters of 5x5"
    assert display.text_ == []


def test_filters_of_rgb_images_are_colours():
    display = FiltersDisplay.from_estimator(CIFARNET, n_filters=9)
    weights = filters(CIFARNET)[:9]
    picture = display.im_.get_array()
    assert picture.shape == (17, 17, 4)
    expected = 0.5 + weights[1] / abs(weights).max() / 2
    np.testing.assert_allclose(picture[:5, 6:11, :3], expected, atol=1e-6)
    assert (picture[:5, 6:11, 3] == 1).all()
    assert (picture[5] == 0).all()  # transparent
    assert display.colorbar_ is None
    assert display.ax_.get_title() == "conv1: 9 of 64 filters of 5x5"


class Squeezed(nn.Sequential):
    """Four neighbours become channels first."""

    def __init__(self, *, n_channels, image_size, n_classes):
        n_values = 5 * (image_size[0] // 2 - 2) * (image_size[1] // 2 - 2)
        squeeze, convolution = nn.PixelUnshuffle(2), nn.Conv2d(4 * n_channels, 5, 3)
        super().__init__(squeeze, convolution, nn.Flatten(), nn.Linear(n_values, n_classes))


def test_filters_without_colours():
    model = network(Squeezed, max_epochs=1).fit(IMAGES, LABELS)
    with pytest.raises(ValueError, match="got filters on 12 channels, of layer '1'; wanted 1"):
        FiltersDisplay.from_estimator(model)
    assert plt.get_fignums() == []


def test_units_that_are_classes_bear_their_names():
    display = FiltersDisplay.from_estimator(SOFTMAX)
    assert [text.get_text() for text in display.text_] == ["cat", "dog"]
    assert display.ax_.get_title() == "dense: 2 filters of 20x24"
    mlp = network("mlp", max_epochs=1, module__hidden=(2,)).fit(IMAGES, LABELS)
    assert FiltersDisplay.from_estimator(mlp).text_ == []
    display = FiltersDisplay.from_estimator(SOFTMAX, n_filters=1)
    assert [text.get_text() for text in display.text_] == ["cat"]


class Tied(nn.Module):
    """One matrix, by which an image is encoded and drawn again."""

    def __init__(self, *, n_channels, image_size, n_components):
        super().__init__()
        self.shape = (n_channels, *image_size)
        self.dense = nn.Linear(n_channels * image_size[0] * image_size[1], n_components)

    def encode(self, images):
        return self.dense(images.flatten(1))

    def decode(self, codes):
        return (codes @ self.dense.weight).view(-1, *self.shape)

    def forward(self, images):
        return self.decode(self.encode(images))


def test_features_of_an_autoencoder_are_no_classes():
    options = {"n_components": 5, "max_epochs": 1, "random_state": 0}
    model = make_pipeline(Resize(8), Autoencoder(**options)).fit(IMAGES[..., 0])
    display = FiltersDisplay.from_estimator(model, n_filters=4)
    np.testing.assert_array_equal(display.filters, filters(model)[:4])
    assert display.ax_.get_title() == "encoder.dense1: 4 of 5 filters of 8x8"
    display = FiltersDisplay.from_estimator(Autoencoder(Tied, **options).fit(IMAGES))
    assert display.ax_.get_title() == "dense: 5 filters of 20x24" and display.text_ == []


# ---------------------------------------------------------------------------------- feature maps


def test_maps_are_those_of_the_layer():
    display = FeatureMapsDisplay.from_estimator(LENET, IMAGES[0, ..., 0], "pool2", n_maps=5)
    maps = feature_maps(LENET, IMAGES[0, ..., 0], "pool2")[:5]
    np.testing.assert_array_equal(display.maps, maps)
    np.testing.assert_array_equal(display.im_.get_array()[6:11, :5], maps[3])
    np.testing.assert_allclose(display.im_.get_clim(), (maps.min(), maps.max()))
    assert display.ax_.get_title() == "pool2: 5 of 16 maps of 5x5"
    display = FeatureMapsDisplay.from_estimator(LENET, IMAGES[0, ..., 0])
    assert display.ax_.get_title() == "conv1: 6 maps of 28x28"


# ----------------------------------------------------------------------------------- explanation


@pytest.mark.parametrize("method", ["auto", "grad_cam"])
def test_a_network_is_explained_by_grad_cam(method):
    image = IMAGES[0]
    display = ExplanationDisplay.from_estimator(CIFARNET, image, method=method)
    assert display.method == "grad_cam"
    predicted = CIFARNET.predict([image])[0]
    np.testing.assert_array_equal(display.heat_map, grad_cam(CIFARNET, image))
    np.testing.assert_array_equal(display.im_.get_array(), display.heat_map)
    probability = CIFARNET.predict_proba([image]).max()
    assert display.ax_.get_title() == f"{predicted}: probability {probability:.2f}"
    assert display.colorbar_.ax.get_ylabel() == "Grad-CAM"
    assert display.im_.get_clim() == (0, display.heat_map.max())


@pytest.mark.parametrize("label", ["cat", "dog"])
@pytest.mark.parametrize("method", ["auto", "occlusion"])
def test_a_pipeline_by_hand_is_explained_by_occlusion(method, label):
    image = IMAGES[0]
    display = ExplanationDisplay.from_estimator(HOG_SVM, image, label, method=method)
    assert display.method == "occlusion"
    np.testing.assert_array_equal(display.heat_map, occlusion_map(HOG_SVM, image, label))
    value = HOG_SVM.decision_function([image])[0] * (1 if label == "dog" else -1)
    assert display.ax_.get_title() == f"{label}: decision value {value:.2f}"
    assert display.colorbar_.ax.get_ylabel() == "fall of the decision value if covered"
    farthest = abs(display.heat_map).max()
    assert display.im_.get_clim() == (-farthest, farthest)
    np.testing.assert_allclose(display.im_.get_alpha().max(), 0.7)


def test_networks_without_convolutions_are_explained_by_occlusion():
    for model in (SOFTMAX, make_pipeline(Resize((20, 24)), SOFTMAX)):
        display = ExplanationDisplay.from_estimator(model, IMAGES[0, ..., 0])
        assert display.method == "occlusion"
    display = ExplanationDisplay.from_estimator(LENET, IMAGES[0, ..., 0])
    assert display.method == "grad_cam"
    assert display.heat_map.shape == (20, 24)  # as large as the image before Resize


def test_parameters_of_the_method():
    image = IMAGES[0]
    display = ExplanationDisplay.from_estimator(HOG_SVM, image, method_kw={"size": 9, "step": 4})
    np.testing.assert_array_equal(display.heat_map, occlusion_map(HOG_SVM, image, size=9, step=4))
    display = ExplanationDisplay.from_estimator(CIFARNET, image, method_kw={"layer": "pool1"})
    np.testing.assert_array_equal(display.heat_map, grad_cam(CIFARNET, image, layer="pool1"))


def test_a_map_of_zeros_leaves_the_image():
    heat = np.zeros((5, 6), dtype=np.float32)
    options = {"method": "grad_cam", "label": 3, "score": 0.5}
    display = ExplanationDisplay(IMAGES[0, :5, :6], heat, **options).plot(colorbar=False)
    assert display.colorbar_ is None
    assert not display.im_.get_alpha().any()
    underneath = display.ax_.images[0].get_array()
    grey = IMAGES[0, :5, :6] @ [0.2125, 0.7154, 0.0721] / 255
    np.testing.assert_allclose(underneath, grey, atol=1e-5)
    display.figure_.canvas.draw()


def test_a_search_is_explained_as_its_best_estimator():
    search = GridSearchCV(HOG_SVM, {"linearsvc__C": [1]}, cv=2).fit(IMAGES, LABELS)
    display = ExplanationDisplay.from_estimator(search, IMAGES[0])
    np.testing.assert_array_equal(display.heat_map, occlusion_map(search, IMAGES[0]))


# -------------------------------------------------------------------------------- training curves


def test_curves_are_those_of_the_history():
    display = TrainingCurvesDisplay.from_estimator(LENET)
    history = LENET[-1].history_
    for name in ("train_loss", "valid_loss", "valid_acc"):
        expected = [epoch[name] for epoch in history]
        np.testing.assert_array_equal(display.curves[name], expected)
        np.testing.assert_array_equal(display.lines_[name].get_ydata(), expected)
        np.testing.assert_array_equal(display.lines_[name].get_xdata(), [1, 2])
    assert [ax.get_ylabel() for ax in display.axes_[:2]] == ["loss", "accuracy"]
    assert display.lines_["valid_loss"].axes is display.axes_[0]
    assert display.lines_["valid_acc"].axes is display.axes_[1]
    legend = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert legend == ["training", "validation"]
    assert display.axes_[-1].get_xlabel() == "epoch"


def test_curves_that_were_not_recorded_are_not_drawn():
    curves = TrainingCurvesDisplay.from_estimator(SOFTMAX).curves
    assert "train_loss" in curves
    assert not {"valid_loss", "valid_acc"} & {*curves}
    display = TrainingCurvesDisplay({"train_loss": np.array([2.0])}).plot()
    assert len(display.axes_) == 1


@pytest.mark.parametrize("name", ["lr", "event_lr"])
def test_the_learning_rate(name):
    curves = {"train_loss": np.array([2.0, 1, np.nan]), name: np.array([0.1, 0.2, 0.1])}
    display = TrainingCurvesDisplay(curves).plot()
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "learning rate"]
    assert display.axes_[1].get_legend() is None
    display.figure_.canvas.draw()


def test_an_epoch_without_a_number_is_a_gap():
    model = network("softmax", validation_fraction=0.5).fit(IMAGES, LABELS)
    first = model.history_[0, "valid_acc"]
    del model.history_[1]["valid_acc"]
    curves = TrainingCurvesDisplay.from_estimator(model).curves
    np.testing.assert_array_equal(curves["valid_acc"], [first, np.nan])


def test_curves_of_a_search():
    search = GridSearchCV(network("softmax"), {"lr": [0.01]}, cv=2).fit(IMAGES, LABELS)
    assert TrainingCurvesDisplay.from_estimator(search).curves["train_loss"].shape == (2,)


# ----------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("display", [FiltersDisplay, FeatureMapsDisplay, TrainingCurvesDisplay])
def test_estimators_without_a_network(display):
    arguments = [IMAGES[0]] if display is FeatureMapsDisplay else []
    with pytest.raises(ValueError, match="got a Pipeline of HOG, LinearSVC; wanted a CNNClassifie"):
        display.from_estimator(HOG_SVM, *arguments)
    with pytest.raises(NotFittedError):
        display.from_estimator(make_pipeline(Resize(8), network("lenet")), *arguments)
    assert plt.get_fignums() == []


def test_explanations_that_cannot_be():
    explain = ExplanationDisplay.from_estimator
    with pytest.raises(ValueError, match="method='lime'; wanted one of 'auto', 'grad_cam', 'occl"):
        explain(HOG_SVM, IMAGES[0], method="lime")
    with pytest.raises(ValueError, match="grad_cam got a Pipeline of HOG, LinearSVC; wanted"):
        explain(HOG_SVM, IMAGES[0], method="grad_cam")
    with pytest.raises(ValueError, match="label='cow', which is not a class; wanted one of 'cat'"):
        explain(CIFARNET, IMAGES[0], "cow")
    for model in (network("lenet"), make_pipeline(HOG(pixels_per_cell=(5, 5)), LinearSVC())):
        with pytest.raises(NotFittedError):
            explain(model, IMAGES[0])
    assert plt.get_fignums() == []


def test_numbers_out_of_range():
    with pytest.raises(ValueError, match="n_filters=0; wanted 1 or more"):
        FiltersDisplay.from_estimator(CIFARNET, n_filters=0)
    with pytest.raises(ValueError, match="n_maps=-1; wanted 1 or more"):
        FeatureMapsDisplay.from_estimator(CIFARNET, IMAGES[0], n_maps=-1)


# --------------------------------------------------------------------------- scikit-learn's ways

MADE = {
    FiltersDisplay: lambda **options: FiltersDisplay.from_estimator(CIFARNET, **options),
    FeatureMapsDisplay: lambda **options: FeatureMapsDisplay.from_estimator(
        CIFARNET, IMAGES[0], **options
    ),
    ExplanationDisplay: lambda **options: ExplanationDisplay.from_estimator(
        CIFARNET, IMAGES[0], **options
    ),
    TrainingCurvesDisplay: lambda **options: TrainingCurvesDisplay.from_estimator(LENET, **options),
}
every_display = pytest.mark.parametrize("display", list(MADE))


@every_display
def test_axes_given_are_drawn_into(display):
    figure, axes = plt.subplots(1, 2, layout="constrained")
    before = axes[1].get_position()
    shown = MADE[display](ax=axes[1])
    figure.canvas.draw()
    assert shown.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert not axes[0].has_data()
    if display is TrainingCurvesDisplay:
        assert shown.bounding_ax_ is axes[1]
        assert all(ax.get_position().x0 > before.x0 - 0.05 for ax in shown.axes_)
    else:
        assert shown.ax_ is axes[1]
    assert shown.plot() is shown
    assert shown.figure_ is not figure
    shown.figure_.canvas.draw()


@every_display
def test_the_constructor_only_assigns(display):
    names = [name for name in inspect.signature(display).parameters if name != "self"]
    values = {name: object() for name in names}
    assert vars(display(**values)) == values
    assert plt.get_fignums() == []


def test_further_parameters_reach_matplotlib():
    assert MADE[FiltersDisplay](im_kw={"alpha": 0.5}).im_.get_alpha() == 0.5
    assert MADE[FeatureMapsDisplay](cmap="gray").im_.cmap.name == "gray"
    assert MADE[FeatureMapsDisplay](im_kw={"vmin": -9}).im_.get_clim()[0] == -9
    assert MADE[ExplanationDisplay](cmap="gray").im_.cmap.name == "gray"
    assert MADE[ExplanationDisplay](heat_alpha=0.2).im_.get_alpha().max() == pytest.approx(0.2)
    lines = MADE[TrainingCurvesDisplay](line_kw={"linewidth": 5}).lines_
    assert {line.get_linewidth() for line in lines.values()} == {5}


@every_display
def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch, display):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=rf"{display.__name__} .* 'visionpipe\[plots\]'"):
        MADE[display]()


def test_importing_the_displays_does_not_import_matplotlib():
    names = ("explanation", "feature_maps", "filters", "training")
    imports = ", ".join(f"visionpipe.displays.{name}" for name in names)
    code = f"import sys, {imports}; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
