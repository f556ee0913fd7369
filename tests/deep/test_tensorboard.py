"""What TensorBoard finds in the folder of a training, read by TensorBoard itself."""

import copy
import io
import math
import pickle
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits
from skorch.callbacks import Callback, EarlyStopping, EpochScoring
from skorch.dataset import Dataset
from torch import nn

from visionpipe.deep.classifier import CNNClassifier
from visionpipe.deep.tensorboard import log as tensorboard
from visionpipe.deep.tensorboard.log import TensorBoardLog
from visionpipe.deep.tensorboard.mistakes import find_mistakes
from visionpipe.deep.tensorboard.tiles import filter_tiles, grid

pytest.importorskip("tensorboard")

DIGITS = load_digits()
IMAGES, LABELS = np.uint8(DIGITS.images[:240] * 15), DIGITS.target[:240]


def small(callbacks, **params):
    params = {"max_epochs": 3, "random_state": 0, "validation_fraction": 0.25} | params
    return CNNClassifier("small_cnn", callbacks=callbacks, **params)


def large(images):
    return images.repeat(2, axis=1).repeat(2, axis=2)  # (n, 16, 16)


def read(directory):
    """The only run in a directory."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (run,) = directory.iterdir()
    events = EventAccumulator(str(run), size_guidance={"images": 0, "histograms": 0, "tensors": 0})
    return events.Reload()


def scalars(events, tag):
    return {event.step: event.value for event in events.Scalars(tag)}


def image(events, tag, which=-1):
    """Array (h, w) of a grey image written."""
    written = Image.open(io.BytesIO(events.Images(tag)[which].encoded_image_string))
    return np.asarray(written.convert("L"))


def text(events, tag):
    (event,) = events.Tensors(f"{tag}/text_summary")
    return event.tensor_proto.string_val[0].decode()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    return small([TensorBoardLog(directory)]).fit(large(IMAGES), LABELS), read(directory)


def test_scalars_are_those_of_the_history(trained):
    classifier, events = trained
    for tag, name in [
        ("loss/train", "train_loss"),
        ("loss/valid", "valid_loss"),
        ("acc/valid", "valid_acc"),
        ("dur", "dur"),
    ]:
        expected = dict(enumerate(classifier.history_[:, name], start=1))
        assert scalars(events, tag) == pytest.approx(expected)
    tags = events.Tags()["scalars"]
    assert "epoch" not in tags and not any("best" in tag for tag in tags)


def test_learning_rates(trained):
    _, events = trained
    rates = scalars(events, "learning_rate/0")
    assert list(rates) == [1, 2, 3]
    assert 3e-3 > rates[1] > rates[2] > rates[3] > 0  # one cycle, beyond its peak


def test_histograms_of_weights_and_gradients(trained):
    classifier, events = trained
    names = [name for name, _ in classifier.module_.named_parameters()]
    expected = {f"{kind}/{name}" for kind in ("weights", "gradients") for name in names}
    assert set(events.Tags()["histograms"]) == expected
    for name, weights in classifier.module_.named_parameters():
        found = events.Histograms(f"weights/{name}")
        assert [event.step for event in found] == [1, 2, 3]
        last, weights = found[-1].histogram_value, weights.detach()
        assert last.num == weights.numel()
        assert last.min == pytest.approx(weights.min().item())
        assert last.sum == pytest.approx(weights.double().sum().item(), abs=1e-4)
        assert events.Histograms(f"gradients/{name}")[-1].histogram_value.max > 0


def test_filters_of_the_first_layer(trained):
    classifier, events = trained
    assert [event.step for event in events.Images("first_layer")] == [1, 2, 3]
    found = image(events, "first_layer")
    assert found.shape == (3 * 35, 3 * 35)  # 8 filters of 3x3, 33 pixels a side with repetition
    filters = classifier.module_.conv1.weight.detach()[:, 0].numpy()  # (8, 3, 3)
    for i, weights in enumerate(filters):
        row, column = divmod(i, 3)
        tile = found[row * 35 + 1 :, column * 35 + 1 :][5:33:11, 5:33:11]  # middles of the pixels
        scaled = (weights - weights.min()) / (weights.max() - weights.min())
        np.testing.assert_allclose(tile, scaled * 255, atol=1)


def test_the_graph(trained):
    _, events = trained
    assert events.Tags()["graph"]
    nodes = [node.name for node in _graph(events).node]
    assert any("conv1" in name for name in nodes) and any("dense3" in name for name in nodes)


def _graph(events):
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    graph = events.Graph()
    return graph if isinstance(graph, GraphDef) else GraphDef.FromString(graph)


def test_misclassified_validation_images(trained):
    classifier, events = trained
    net = classifier.net_
    _, valid = net.train_split(net.get_dataset(large(IMAGES)), None)
    rows = valid.indices
    probabilities = classifier.predict_proba(large(IMAGES)[rows])  # (60, 10)
    predicted, true = probabilities.argmax(1), LABELS[rows]
    order = np.argsort(-probabilities.max(1), kind="stable")
    wrong = [i for i in order if predicted[i] != true[i]]
    assert 1 < len(wrong) <= 60
    lines = text(events, "misclassified/validation").splitlines()
    assert lines[0].startswith(f"{len(wrong)} of 60 images misclassified")
    assert lines[4:] == [
        f"{true[i]} | {predicted[i]} | {probabilities[i].max():.3f}" for i in wrong
    ]
    side = math.ceil(math.sqrt(len(wrong)))
    found = image(events, "misclassified/validation")
    assert found.shape[1] == side * 34  # 16x16, doubled, with an edge
    np.testing.assert_array_equal(found[1:33:2, 1:33:2], large(IMAGES)[rows][wrong[0]])


def test_misclassified_training_images_and_class_names(tmp_path):
    names = ["zero", "one"]
    few = LABELS < 2
    log = TensorBoardLog(tmp_path, class_names=names)
    classifier = CNNClassifier(
        "softmax", callbacks=[log], max_epochs=1, lr=1e-5, random_state=0
    ).fit(IMAGES[few], LABELS[few])
    events = read(tmp_path)
    wrong = int((classifier.predict(IMAGES[few]) != LABELS[few]).sum())
    lines = text(events, "misclassified/training").splitlines()
    assert lines[0].startswith(f"{wrong} of {few.sum()} images") and wrong
    assert all(line.split(" | ")[:2] in (["zero", "one"], ["one", "zero"]) for line in lines[4:])
    assert "first_layer" not in events.Tags()["images"]  # softmax has no convolution


def test_no_mistakes(tmp_path):
    images = np.zeros((20, 4, 4), np.uint8)
    images[10:] = 255
    labels = np.repeat([0, 1], 10)
    log = TensorBoardLog(tmp_path)
    CNNClassifier("softmax", callbacks=[log], max_epochs=20, lr=0.1, random_state=0).fit(
        images, labels
    )
    events = read(tmp_path)
    assert text(events, "misclassified/training") == "0 of 20 images misclassified"
    assert "misclassified/training" not in events.Tags()["images"]


class Dropping(nn.Module):
    """Draws random numbers while training, and keeps one part in eval mode for good."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.norm = nn.BatchNorm2d(n_channels)
        self.norm.eval()
        self.dropout = nn.Dropout(0.5)
        self.dense = nn.Linear(n_channels * image_size[0] * image_size[1], n_classes)

    def forward(self, images):
        return self.dense(self.dropout(self.norm(images).flatten(1)))


@pytest.mark.parametrize("module", [Dropping, "small_cnn"])
def test_the_training_is_not_changed(module, tmp_path):
    params = {"max_epochs": 2, "random_state": 0, "validation_fraction": 0.25}
    fit = CNNClassifier(module, **params).fit
    plain = fit(large(IMAGES), LABELS)
    watched = clone(plain).set_params(callbacks=[TensorBoardLog(tmp_path)])
    watched.fit(large(IMAGES), LABELS)
    expected, found = plain.module_.state_dict(), watched.module_.state_dict()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)
    assert found.get("norm.num_batches_tracked", 1) == expected.get("norm.num_batches_tracked", 1)


class Untraceable(Dropping):
    def forward(self, images):
        if torch.jit.is_tracing():
            raise RuntimeError("not like this")
        return super().forward(images)


def test_a_network_that_cannot_be_traced_is_trained_all_the_same(tmp_path, capfd, recwarn):
    classifier = CNNClassifier(Untraceable, callbacks=[TensorBoardLog(tmp_path)], max_epochs=1)
    classifier.fit(IMAGES, LABELS)
    printed = capfd.readouterr()
    assert printed.out == printed.err == "" and not len(recwarn)
    events = read(tmp_path)
    assert not events.Tags()["graph"] and scalars(events, "loss/train")


def test_each_fit_has_its_own_run(tmp_path):
    runs = []
    threads = [
        threading.Thread(target=lambda: runs.append(tensorboard._new_run(tmp_path)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(runs)) == 20 == len(list(tmp_path.iterdir()))
    assert all(run.name.startswith("20") for run in runs)


def test_numbers_of_callbacks_that_come_later_are_written_and_a_stop_loses_none(tmp_path):
    scoring = EpochScoring("accuracy", name="late_accuracy", on_train=True)
    stopping = EarlyStopping(monitor="train_loss", patience=2, threshold=0.99)
    log = TensorBoardLog(tmp_path)
    stopped = CNNClassifier(
        "softmax", callbacks=[log, scoring, stopping], max_epochs=50, lr_schedule=None
    ).fit(IMAGES, LABELS)
    events = read(tmp_path)
    n_epochs = stopped.n_iter_
    assert n_epochs < 50
    for tag in ("loss/train", "late_accuracy"):
        assert list(scalars(events, tag)) == list(range(1, n_epochs + 1))
    assert text(events, "misclassified/training")


class Failing(Callback):
    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise OSError("no more")


def test_after_an_error_the_file_is_closed_and_whole(tmp_path):
    seen = []

    class Spying(TensorBoardLog):
        def on_train_begin(self, net, **kwargs):
            super().on_train_begin(net, **kwargs)
            seen.append((self, self.writer_))

    with pytest.raises(OSError, match="no more"):
        small([Spying(tmp_path), Failing()]).fit(large(IMAGES), LABELS)
    ((log, writer),) = seen
    assert "writer_" not in vars(log) and writer.file_writer is None
    events = read(tmp_path)
    assert list(scalars(events, "loss/train")) == [1]
    assert "misclassified/validation" not in events.Tags()["images"]


def test_clone_copy_and_pickle(tmp_path, trained):
    log = TensorBoardLog(tmp_path, class_names=["a"])
    assert set(log.get_params()) == {"directory", "class_names"}
    copied = clone(CNNClassifier(callbacks=[log])).callbacks[0]
    assert copied.directory == tmp_path and copied.class_names == ["a"]
    classifier, _ = trained
    net = classifier.net_
    fitted = next(c for _, c in net.callbacks_ if isinstance(c, TensorBoardLog))
    assert "writer_" not in vars(fitted) and "datasets_" not in vars(fitted)
    fitted.on_train_begin(net, torch.zeros(2, 1, 16, 16))
    try:
        for other in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
            assert vars(other).keys() <= vars(fitted).keys() - {"writer_", "datasets_"}
            assert other.run_directory_ == fitted.run_directory_
    finally:
        fitted._close()


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    message = r"TensorBoardLog needs tensorboard: pip install 'visionpipe\[tensorboard\]'"
    with pytest.raises(ImportError, match=message):
        small([TensorBoardLog(tmp_path)]).fit(large(IMAGES), LABELS)


# ------------------------------------------------------------------------------ mistakes, tiles


class Lazy:
    """Images that are no tensor, but give one for rows."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        assert len(rows)
        return torch.from_numpy(self.images[np.asarray(rows)])[:, None]


def test_images_that_are_read_when_asked_for(trained):
    classifier, _ = trained
    net, labels = classifier.net_, torch.from_numpy(LABELS)
    wanted = np.arange(0, 240, 3)
    found = []
    for X in (torch.from_numpy(large(IMAGES))[:, None], Lazy(large(IMAGES))):
        dataset = torch.utils.data.Subset(Dataset(X, labels, length=240), wanted)
        found.append(find_mistakes(net, dataset, looked_at=50, shown=3))
    tensor, lazy = found
    assert lazy.n_looked_at == 50 and lazy.images.shape == tensor.images.shape == (3, 1, 16, 16)
    assert torch.equal(lazy.images, tensor.images)
    assert lazy.true.tolist() == tensor.true.tolist()
    assert (np.diff(lazy.probability) <= 0).all() and lazy.n_all >= 3

    flawless = torch.from_numpy(classifier.predict(large(IMAGES)))
    none = find_mistakes(net, Dataset(Lazy(large(IMAGES)), flawless, length=240))
    assert none.n_all == len(none.images) == 0 and none.n_looked_at == 240


@pytest.mark.parametrize(("n", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (5, 2, 3), (9, 3, 3)])
def test_tiles_stand_in_order(n, rows, columns):
    tiles = torch.arange(1, n + 1).view(n, 1, 1, 1).expand(n, 3, 40, 33) / 10
    found = grid(tiles)
    assert found.shape == (3, rows * 42, columns * 35)
    middles = found[:, 21::42, 17::35].flatten(1)  # (3, rows * columns)
    expected = [(i + 1) / 10 if i < n else 0.5 for i in range(rows * columns)]
    np.testing.assert_allclose(middles, [expected] * 3)


def test_large_tiles_are_averaged():
    tiles = torch.rand(1, 1, 512, 256)
    expected = tiles.view(128, 4, 64, 4).mean((1, 3))
    torch.testing.assert_close(grid(tiles)[0, 1:-1, 1:-1], expected)


def test_colours_of_filters():
    rgb = nn.Sequential(nn.Flatten(0, 0), nn.Conv2d(3, 5, 3), nn.Conv2d(5, 2, 7))
    found, weights = filter_tiles(rgb), rgb[1].weight.detach()
    assert found.shape == (5, 3, 3, 3)
    span = weights[2].max() - weights[2].min()
    torch.testing.assert_close(found[2], (weights[2] - weights[2].min()) / span)
    assert filter_tiles(nn.Conv2d(4, 6, 3)).shape == (6, 1, 3, 3)
    constant = nn.Conv2d(1, 2, 3)
    nn.init.constant_(constant.weight, 0.7)
    assert torch.equal(filter_tiles(constant), torch.zeros(2, 1, 3, 3))
    assert filter_tiles(nn.Linear(2, 2)) is None
