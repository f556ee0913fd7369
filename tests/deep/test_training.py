"""What CNNClassifier's training does beside stepping down the gradient."""

import copy
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import top_k_accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from skorch.callbacks import Callback
from torch import nn

from visionpipe.deep.classifier import CNNClassifier
from visionpipe.deep.data import pixels as pixels_module
from visionpipe.deep.data.augmentation import Augmentation
from visionpipe.images import as_images
from visionpipe.networks.softmax import SoftmaxRegression

DIGITS = load_digits()
BYTES = (DIGITS.images * 15).astype(np.uint8)[:300]  # (n, 8, 8)
LABELS = DIGITS.target[:300]


def quick(module="softmax", **params):
    defaults = {"max_epochs": 6, "lr": 0.02, "lr_schedule": None, "random_state": 0}
    return CNNClassifier(module, **defaults | params)


def weights(classifier):
    return {name: value.clone() for name, value in classifier.module_.state_dict().items()}


def assert_same_weights(one, other):
    for name, value in weights(one).items():
        assert torch.equal(value, weights(other)[name]), name


class Watcher(Callback):
    """Call a function of the net at the end of each batch of training, or each epoch."""

    def __init__(self, on_batch=None, on_epoch=None):
        self.on_batch, self.on_epoch = on_batch, on_epoch

    def __deepcopy__(self, memo):
        return self

    def on_batch_end(self, net, training=False, **kwargs):
        if training and self.on_batch:
            self.on_batch(net)

    def on_epoch_end(self, net, **kwargs):
        if self.on_epoch:
            self.on_epoch(net)


class Recorded(nn.Linear):
    """Softmax regression that keeps what it sees."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__(n_channels * image_size[0] * image_size[1], n_classes)
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, x.detach().clone()))
        return super().forward(x.flatten(1))


def seen_in_training(classifier):
    return torch.cat([x for training, x in classifier.module_.seen if training])


# ------------------------------------------------------------------------------- moving average


def test_the_moving_average_takes_the_place_of_the_weights():
    raw = []
    watcher = Watcher(on_batch=lambda net: raw.append(net.module_.dense.weight.detach().clone()))
    fitted = quick(ema_decay=0.9, callbacks=[watcher], max_epochs=2, batch_size=50)
    fitted.fit(BYTES, LABELS)
    plain = quick(callbacks=[Watcher()], max_epochs=2, batch_size=50).fit(BYTES, LABELS)
    torch.testing.assert_close(raw[-1], plain.module_.dense.weight, rtol=0, atol=0)
    (start,) = [
        quick(max_epochs=1, batch_size=300, lr=1e-30, optimizer="sgd")
        .fit(BYTES, LABELS)
        .module_.dense.weight
    ]
    average = start.detach().clone()
    for n, value in enumerate(raw, start=1):
        decay = min(0.9, (1 + n) / (10 + n))
        average = decay * average + (1 - decay) * value
    torch.testing.assert_close(fitted.module_.dense.weight.detach(), average, rtol=1e-4, atol=1e-6)


def test_validation_looks_at_the_average():
    accuracies = []

    def look(net):
        rows = net.train_split.keywords["valid"]
        predicted = net.probabilities(torch.from_numpy(BYTES[rows])[:, None]).argmax(1)
        accuracies.append(np.mean(predicted == LABELS[rows]))

    fitted = quick(ema_decay=0.95, validation_fraction=0.3, callbacks=[Watcher(on_epoch=look)])
    fitted.fit(BYTES, LABELS)
    assert accuracies == pytest.approx(fitted.history_[:, "valid_acc"])


def test_batch_statistics_are_averaged_too():
    class Normed(nn.Sequential):
        def __init__(self, *, n_channels, image_size, n_classes):
            super().__init__(nn.BatchNorm2d(n_channels), nn.Flatten(), nn.Linear(64, n_classes))

    fitted = quick(Normed, ema_decay=0.99).fit(BYTES, LABELS)
    plain = quick(Normed).fit(BYTES, LABELS)
    assert fitted.module_[0].running_var != plain.module_[0].running_var
    assert fitted.score(BYTES, LABELS) > 0.8


# -------------------------------------------------------------------------------- early stopping


def test_early_stopping_keeps_the_best_weights():
    fitted = quick(early_stopping=True, n_iter_no_change=3, lr=0.5, max_epochs=60)
    fitted.fit(BYTES, LABELS)
    losses = fitted.history_[:, "valid_loss"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 60
    rows = fitted.net_.train_split.keywords["valid"]
    assert len(rows) == 30  # a tenth, for want of a validation_fraction
    assert fitted.score(BYTES[rows], LABELS[rows]) == pytest.approx(
        fitted.history_[best, "valid_acc"]
    )


def test_the_best_weights_are_taken_also_when_nothing_stops():
    fitted = quick(
        early_stopping=True, validation_fraction=0.3, n_iter_no_change=100, lr=0.5, max_epochs=11
    ).fit(BYTES, LABELS)
    losses = fitted.history_[:, "valid_loss"]
    assert len(losses) == 11 and np.argmin(losses) < 10
    rows = fitted.net_.train_split.keywords["valid"]
    assert fitted.score(BYTES[rows], LABELS[rows]) == pytest.approx(
        fitted.history_[int(np.argmin(losses)), "valid_acc"]
    )


# ------------------------------------------------------------------ clipping, decay, precision


def test_gradients_are_clipped():
    """Plain gradient descent at rate 1 moves the weights by the gradient itself."""
    moves, before = [], {}

    def look(net):
        now = torch.cat([p.detach().flatten() for p in net.module_.parameters()])
        if "weights" in before:
            moves.append(float((now - before["weights"]).norm()))
        before["weights"] = now

    params = {"optimizer": torch.optim.SGD, "lr": 1.0, "max_epochs": 2, "batch_size": 30}
    quick(clip_grad_norm=0.01, callbacks=[Watcher(look)], **params).fit(BYTES, LABELS)
    assert max(moves) == pytest.approx(0.01, rel=1e-3) and len(moves) == 19
    before.clear()
    moves.clear()
    quick(callbacks=[Watcher(look)], **params).fit(BYTES, LABELS)
    assert min(moves) > 0.01


def test_weight_decay_spares_biases():
    fitted = quick("mlp", weight_decay=0.1, optimizer="sgd").fit(BYTES, LABELS)
    decay = {
        parameter: group["weight_decay"]
        for group in fitted.net_.optimizer_.param_groups
        for parameter in group["params"]
    }
    assert {p.ndim: decay[p] for p in fitted.module_.parameters()} == {2: 0.1, 1: 0.0}
    assert fitted.net_.optimizer_.param_groups[0]["lr"] == 0.02


def test_weight_decay_beside_groups_of_the_users():
    groups = [("dense1*", {"weight_decay": 0.5, "lr": 0.001})]
    fitted = quick("mlp", weight_decay=0.1, optimizer__param_groups=groups).fit(BYTES, LABELS)
    decay = {
        id(parameter): group["weight_decay"]
        for group in fitted.net_.optimizer_.param_groups
        for parameter in group["params"]
    }
    assert decay[id(fitted.module_.dense1.weight)] == 0.5
    assert decay[id(fitted.module_.dense2.weight)] == 0.1


def test_bfloat16_on_request():
    class Typed(SoftmaxRegression):
        def forward(self, x):
            logits = super().forward(x)
            self.dtype = logits.dtype
            return logits

    fitted = quick(Typed, precision="bfloat16").fit(BYTES, LABELS)
    assert fitted.module_.dtype == torch.bfloat16 and fitted.module_.dense.weight.dtype == (
        torch.float32
    )
    assert fitted.predict_proba(BYTES).dtype == np.float32
    assert fitted.score(BYTES, LABELS) > 0.9
    plain = quick(Typed).fit(BYTES, LABELS)
    assert plain.module_.dtype == torch.float32


def test_channels_last():
    class Formatted(nn.Sequential):
        def __init__(self, *, n_channels, image_size, n_classes):
            super().__init__(nn.Conv2d(n_channels, 4, 3), nn.Flatten(), nn.Linear(144, n_classes))

        def forward(self, x):
            self.formats = [
                t.is_contiguous(memory_format=torch.channels_last) for t in (x, self[0].weight)
            ]
            return super().forward(x)

    rgb = np.repeat(BYTES[..., None], 3, axis=-1)
    last = quick(Formatted, channels_last=True).fit(rgb, LABELS)
    first = quick(Formatted, channels_last=False).fit(rgb, LABELS)
    assert last.module_.formats == [True, True] and first.module_.formats == [False, False]
    np.testing.assert_allclose(last.predict_proba(rgb), first.predict_proba(rgb), atol=1e-3)
    again = copy.deepcopy(last)
    np.testing.assert_array_equal(again.predict_proba(rgb), last.predict_proba(rgb))
    assert again.module_.formats == [True, True]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon", "nesterov", "sgd"])
def test_every_optimizer_learns(optimizer):
    fitted = quick("mlp", optimizer=optimizer, max_epochs=15).fit(BYTES, LABELS)
    assert fitted.score(BYTES, LABELS) > 0.95


def test_nesterov():
    group = quick(optimizer="nesterov").fit(BYTES, LABELS).net_.optimizer_.param_groups[0]
    assert group["nesterov"] and group["momentum"] == 0.9


def test_an_optimizer_that_asks_more_than_once():
    fitted = quick(optimizer=torch.optim.LBFGS, lr=0.1, batch_size=300, max_epochs=10)
    assert fitted.fit(BYTES, LABELS).score(BYTES, LABELS) > 0.95


# ------------------------------------------------------------------- augmentation, crops, views


def test_training_images_are_augmented_and_others_not():
    plain = quick(Recorded, max_epochs=1, batch_size=300).fit(BYTES, LABELS)
    mirrored = quick(
        Recorded, max_epochs=2, batch_size=300, augmentation=Augmentation(mirror="alternating")
    ).fit(BYTES, LABELS)
    pixels = {tuple(image.flatten().tolist()) for image in seen_in_training(plain)}
    (first, second) = (x for training, x in mirrored.module_.seen if training)
    both = torch.cat([first, second])
    assert {tuple(image.flatten().tolist()) for image in both} == pixels | {
        tuple(image.flip(-1).flatten().tolist()) for image in seen_in_training(plain)
    }
    mirrored.module_.seen.clear()
    mirrored.predict(BYTES[:5])
    ((_, seen),) = mirrored.module_.seen
    torch.testing.assert_close(
        seen[:, 0] * mirrored.pixel_std_[0] + mirrored.pixel_mean_[0],
        torch.from_numpy(BYTES[:5] / 255).float(),
        rtol=1e-4,
        atol=1e-5,
    )


def test_alternating_mirrors_follow_the_seed_and_not_the_batches():
    def seen(**params):
        augmentation = Augmentation(mirror="alternating")
        unshuffled = {"iterator_train__shuffle": False, "batch_size": 300, "max_epochs": 1}
        fitted = quick(Recorded, augmentation=augmentation, **unshuffled | params)
        return seen_in_training(fitted.fit(BYTES, LABELS))

    assert torch.equal(seen(batch_size=70), seen())
    assert not torch.equal(seen(random_state=1), seen())


def test_validation_images_are_shown_as_in_prediction():
    params = {"augmentation": Augmentation(shift=3), "crop_size": 6, "batch_size": 1000}
    fitted = quick(Recorded, validation_fraction=0.2, max_epochs=2, **params).fit(BYTES, LABELS)
    rows = fitted.net_.train_split.keywords["valid"]
    centre = torch.from_numpy(BYTES[rows, 1:7, 1:7] / 255).float()
    shown = [x for training, x in fitted.module_.seen if not training]
    assert len(shown) == 2
    for images in shown:
        pixels = images[:, 0] * fitted.pixel_std_[0] + fitted.pixel_mean_[0]
        torch.testing.assert_close(pixels, centre, rtol=1e-4, atol=1e-5)


def test_augmentation_is_seeded_and_a_grid_parameter():
    augmentation = Augmentation(shift=1, noise=0.1, cutout=2)
    params = {"augmentation": augmentation, "max_epochs": 2}
    assert_same_weights(
        quick(**params).fit(BYTES, LABELS),
        quick(**clone(quick(**params)).get_params(False) | params).fit(BYTES, LABELS),
    )
    search = GridSearchCV(quick(**params), {"augmentation__shift": [0, 3]}, cv=2)
    search.fit(BYTES, LABELS)
    assert augmentation.shift == 1 and search.best_params_["augmentation__shift"] in (0, 3)


@pytest.mark.parametrize("crop_size", [6, (6, 5)])
def test_crops_are_random_in_training_and_central_in_prediction(crop_size):
    fitted = quick(Recorded, crop_size=crop_size, max_epochs=3).fit(BYTES, LABELS)
    height, width = (6, 6) if crop_size == 6 else crop_size
    assert {x.shape[2:] for _, x in fitted.module_.seen} == {(height, width)}
    assert fitted.image_shape_in_ == (8, 8, 1)
    fitted.module_.seen.clear()
    fitted.predict(BYTES[:7])
    ((_, seen),) = fitted.module_.seen
    centre = BYTES[:7, 1:7, (8 - width) // 2 : (8 - width) // 2 + width]
    torch.testing.assert_close(
        seen[:, 0] * fitted.pixel_std_[0] + fitted.pixel_mean_[0],
        torch.from_numpy(centre / 255).float(),
        rtol=1e-4,
        atol=1e-5,
    )
    again = copy.deepcopy(fitted)
    np.testing.assert_array_equal(again.predict_proba(BYTES), fitted.predict_proba(BYTES))


@pytest.mark.parametrize(("tta", "n_views"), [("mirror", 2), ("shifts", 6), ("ten_crops", 10)])
def test_views_are_averaged(tta, n_views):
    fitted = quick(Recorded, crop_size=6).fit(BYTES, LABELS)
    expected = fitted.predict_proba(BYTES[:9])
    mirrored = fitted.predict_proba(BYTES[:9, :, ::-1])
    fitted.set_params(tta=tta).module_.seen.clear()
    found = fitted.predict_proba(BYTES[:9])
    assert len(fitted.module_.seen) == n_views
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    if tta == "mirror":
        np.testing.assert_allclose(found, (expected + mirrored) / 2, rtol=1e-4)


# --------------------------------------------------------------------------------------- weights


def test_weights_count_as_repeats():
    counts = np.random.default_rng(0).integers(0, 4, 60)
    params = {"batch_size": 1000, "optimizer": "sgd", "criterion__label_smoothing": 0}
    weighted = quick(**params).fit(BYTES[:60], LABELS[:60], sample_weight=counts)
    repeated = quick(**params).fit(np.repeat(BYTES[:60], counts, 0), LABELS[:60].repeat(counts))
    np.testing.assert_allclose(weighted.pixel_mean_, repeated.pixel_mean_, rtol=1e-5)
    np.testing.assert_allclose(
        weighted.predict_proba(BYTES), repeated.predict_proba(BYTES), rtol=1e-3, atol=1e-5
    )
    assert weighted.history_[-1, "train_loss"] == pytest.approx(
        repeated.history_[-1, "train_loss"], rel=1e-4
    )


def test_equal_weights_change_nothing_and_their_scale_does_not_matter():
    plain = quick().fit(BYTES, LABELS).predict_proba(BYTES)
    for scale in (1.0, 7.0):
        same = quick().fit(BYTES, LABELS, sample_weight=np.full(300, scale))
        np.testing.assert_allclose(same.predict_proba(BYTES), plain, rtol=1e-3, atol=1e-5)


def test_weights_of_classes_and_of_images_multiply():
    each = np.random.default_rng(0).uniform(0.5, 2, 300)
    by_class = {label: label + 1.0 for label in range(10)}
    both = quick(class_weight=by_class).fit(BYTES, LABELS, sample_weight=each)
    product = quick().fit(BYTES, LABELS, sample_weight=each * (LABELS + 1))
    np.testing.assert_allclose(both.predict_proba(BYTES), product.predict_proba(BYTES), rtol=1e-4)


def test_balanced_classes_count_weights_as_repeats():
    counts = np.random.default_rng(0).integers(1, 4, 60)
    params = {"batch_size": 1000, "optimizer": "sgd", "class_weight": "balanced"}
    weighted = quick(**params).fit(BYTES[:60], LABELS[:60], sample_weight=counts)
    repeated = quick(**params).fit(np.repeat(BYTES[:60], counts, 0), LABELS[:60].repeat(counts))
    np.testing.assert_allclose(
        weighted.predict_proba(BYTES), repeated.predict_proba(BYTES), rtol=1e-3, atol=1e-5
    )


def test_images_of_no_weight_are_as_good_as_absent():
    counted = np.arange(300) % 4 > 0
    weighted = quick("mlp").fit(BYTES, LABELS, sample_weight=counted)
    alone = quick("mlp").fit(BYTES[counted], LABELS[counted], sample_weight=np.ones(225))
    assert_same_weights(weighted, alone)


def test_weights_of_validation_images_do_not_touch_the_training():
    params = {"validation_fraction": 0.2, "optimizer": "sgd"}
    plain = quick(**params).fit(BYTES, LABELS, sample_weight=np.ones(300))
    weighted = np.ones(300)
    weighted[plain.net_.train_split.keywords["valid"]] = 100.0
    other = quick(**params).fit(BYTES, LABELS, sample_weight=weighted)
    assert_same_weights(other, plain)
    assert other.history_[-1, "valid_loss"] > 50 * plain.history_[-1, "valid_loss"]


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(300), "at least one non-zero"),
        (np.full(300, -1.0), "[Nn]egative"),
        (np.ones(299), "sample_weight.shape"),
        (np.full(300, np.nan), "NaN"),
    ],
)
def test_bad_weights(weight, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(BYTES, LABELS, sample_weight=weight)


def test_classes_that_all_weigh_nothing():
    with pytest.raises(ValueError, match="the weights of all images are 0"):
        quick(class_weight=dict.fromkeys(range(10), 0)).fit(BYTES, LABELS)


def test_a_loss_that_cannot_be_weighted():
    class Stubborn(nn.Module):
        def forward(self, logits, labels):
            return nn.functional.cross_entropy(logits, labels)

    quick(criterion=Stubborn).fit(BYTES, LABELS)
    with pytest.raises(ValueError, match="criterion=Stubborn takes no reduction='none'"):
        quick(criterion=Stubborn, class_weight="balanced").fit(BYTES, LABELS)


# --------------------------------------------------------------------- partial_fit, warm start


def test_partial_fit_learns_from_parts():
    classifier = quick(lr=0.01, lr_schedule="one_cycle")
    for _ in range(8):
        for rows in np.array_split(np.arange(300), 3):
            classifier.partial_fit(BYTES[rows], LABELS[rows], classes=range(10))
    assert classifier.n_iter_ == 24 == len(classifier.history_)
    assert classifier.score(BYTES, LABELS) > 0.9
    rates = {group["lr"] for group in classifier.net_.optimizer_.param_groups}
    assert rates == {0.01}


def test_partial_fit_of_everything_equals_fit_by_epochs_of_another_order():
    """The optimizer's state lives on, and each call draws a new order."""
    orders = []
    classifier = quick(Recorded, batch_size=10)
    for _ in range(3):
        classifier.partial_fit(BYTES, LABELS, classes=range(10))
        orders.append(seen_in_training(classifier))
        classifier.module_.seen.clear()
    assert not torch.equal(orders[0], orders[1]) and not torch.equal(orders[1], orders[2])
    assert classifier.net_.optimizer_.state_dict()["state"][0]["step"] == 90


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_partial_fit_goes_on_after_a_journey(ema_decay):
    classifier = quick(ema_decay=ema_decay).partial_fit(BYTES, LABELS, classes=range(10))
    before = classifier.history_[-1, "train_loss"]
    travelled = copy.deepcopy(classifier)
    for one in (classifier, travelled):
        for _ in range(5):
            one.partial_fit(BYTES, LABELS)
        assert one.n_iter_ == 6 and one.history_[-1, "train_loss"] < before
        assert one.score(BYTES, LABELS) > 0.85


def test_partial_fit_after_fit_has_no_plan_of_that_any_more():
    classifier = quick(lr=0.01, lr_schedule="cosine", validation_fraction=0.2, max_epochs=4)
    classifier.fit(BYTES, LABELS)
    before = classifier.history_[-1, "train_loss"]
    for _ in range(4):
        classifier.partial_fit(BYTES[:100], LABELS[:100])
    assert classifier.history_[:, "lr"][4:] == [0.01] * 4 and len(classifier.history_) == 8
    assert classifier.history_[-1, "train_loss"] < before
    assert [sum(e["train_batch_size"] for e in classifier.history_[-1, "batches"])] == [100]
    classifier.set_params(lr=0.002).partial_fit(BYTES, LABELS)
    assert classifier.history_[-1, "lr"] == 0.002


def test_weights_may_come_and_go_between_calls_of_partial_fit():
    few = np.where(LABELS == 0, 1.0, 1e-3)
    params = {"optimizer": "sgd", "batch_size": 300}
    unweighted_first = quick(**params).partial_fit(BYTES, LABELS, classes=range(10))
    ones_first = quick(**params).partial_fit(BYTES, LABELS, range(10), np.ones(300))
    for one in (unweighted_first, ones_first):
        one.partial_fit(BYTES, LABELS, sample_weight=few).partial_fit(BYTES, LABELS)
    np.testing.assert_allclose(
        unweighted_first.predict_proba(BYTES), ones_first.predict_proba(BYTES), rtol=1e-4
    )


def test_partial_fit_hears_of_another_batch_size():
    classifier = quick().partial_fit(BYTES, LABELS, classes=range(10))
    classifier.set_params(batch_size=100).partial_fit(BYTES, LABELS)
    assert classifier.history_[-1, "train_batch_count"] == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda c: c.set_params(class_weight="balanced").partial_fit(BYTES, LABELS, range(10)),
            "partial_fit does not support class_weight='balanced'",
        ),
        (lambda c: c.partial_fit(BYTES, LABELS), "classes must be passed on the first call"),
        (lambda c: c.partial_fit(BYTES, LABELS, classes=[3]), "holds one class; pass at least 2"),
        (lambda c: c.partial_fit(BYTES, LABELS, classes=[0, 1]), r"labels \[2 3.* not among"),
        (
            lambda c: c.partial_fit(BYTES, LABELS, classes=range(10)).partial_fit(
                BYTES, LABELS, classes=[0, 1]
            ),
            "not the same as on last call",
        ),
        (
            lambda c: c.partial_fit(BYTES, LABELS, classes=range(10)).partial_fit(
                BYTES[:, 1:], LABELS
            ),
            r"fitted on images of size .*\(8, 8\) and got \(7, 8\)",
        ),
        (
            lambda c: c.set_params(early_stopping=True).partial_fit(BYTES, LABELS, range(10)),
            "partial_fit does not support early_stopping=True",
        ),
    ],
)
def test_bad_partial_fits(call, message):
    with pytest.raises(ValueError, match=message):
        call(quick())


def test_warm_start():
    cold = quick(max_epochs=1).fit(BYTES, LABELS)
    warm = quick(max_epochs=1, warm_start=True)
    for _ in range(6):
        warm.fit(BYTES, LABELS)
    assert warm.n_iter_ == 1 and warm.score(BYTES, LABELS) > cold.score(BYTES, LABELS) + 0.05
    with pytest.raises(ValueError, match="warm_start=True goes on with a network of the classes"):
        warm.fit(BYTES, LABELS % 3)
    assert_same_weights(cold, cold.fit(BYTES, LABELS))


# ----------------------------------------------------------------------------- scores, bad input


@pytest.mark.parametrize("change", ["images", "module"])
def test_warm_start_with_another_network(change):
    warm = quick(warm_start=True).fit(BYTES, LABELS)
    images = BYTES if change == "module" else np.kron(BYTES, np.ones((2, 2), dtype=np.uint8))
    if change == "module":
        warm.set_params(module="mlp")
    with pytest.raises(ValueError, match="warm_start=True cannot go on .*; set warm_start=False"):
        warm.fit(images, LABELS)


def test_top_k_score():
    fitted = quick(max_epochs=1).fit(BYTES, LABELS)
    proba = fitted.predict_proba(BYTES)
    for k in (1, 2, 5):
        expected = top_k_accuracy_score(LABELS, proba, k=k)
        assert fitted.top_k_score(BYTES, LABELS, k=k) == expected
    assert fitted.top_k_score(BYTES, LABELS, k=1) == fitted.score(BYTES, LABELS)
    binary = quick(max_epochs=1).fit(BYTES, LABELS > 4)
    assert binary.top_k_score(BYTES, LABELS > 4, k=1) == binary.score(BYTES, LABELS > 4)
    grid = {"max_epochs": [1]}
    search = GridSearchCV(quick(), grid, cv=2, scoring="top_k_accuracy").fit(BYTES, LABELS)
    assert search.best_score_ > 0.5


def test_divergence_later_keeps_the_last_good_weights():
    kept = []

    def sabotage(net):
        kept.append(copy.deepcopy(net.module_.state_dict()))
        if len(net.history) == 3:
            net.optimizer_.param_groups[0]["lr"] = 1e38

    diverging = quick("mlp", optimizer="sgd", callbacks=[Watcher(on_epoch=sabotage)])
    message = r"diverged in epoch 4, batch \d+, at a learning rate of 1e\+38: .*weights of epoch 3"
    with pytest.warns(ConvergenceWarning, match=message):
        diverging.fit(BYTES, LABELS)
    assert diverging.n_iter_ == 3 == len(kept)
    for name, value in weights(diverging).items():
        assert torch.equal(value, kept[-1][name])
    assert np.isfinite(diverging.predict_proba(BYTES)).all()


class Hungry(SoftmaxRegression):
    """Runs out of memory in batches of more than 20."""

    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nMore lines.")

    def forward(self, x):
        if len(x) > 20:
            raise self.error
        return super().forward(x)


def test_partial_fit_after_a_divergence():
    class Sabotage(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 2:
                net.optimizer_.param_groups[0]["lr"] = 1e38

    params = {"optimizer": "sgd", "ema_decay": 0.9, "callbacks": [Sabotage()]}
    diverging = quick("mlp", **params).partial_fit(BYTES, LABELS, classes=range(10))
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 2"):
        diverging.partial_fit(BYTES, LABELS)
    assert len(diverging.history_[:, "train_loss"]) == 1
    diverging.net_.callbacks_ = [c for c in diverging.net_.callbacks_ if c[0] != "Sabotage"]
    diverging.partial_fit(BYTES, LABELS)
    assert all(value.isfinite().all() for value in weights(diverging).values())


@pytest.mark.parametrize(
    "error",
    [
        Hungry.error,
        MemoryError("no more"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_names_the_batch_size_to_try(error, monkeypatch):
    monkeypatch.setattr(Hungry, "error", error)
    with pytest.raises(MemoryError, match="batches of 64 images .*; try batch_size=32"):
        quick(Hungry, batch_size=64).fit(BYTES, LABELS)
    fitted = quick(Hungry, batch_size=16).fit(BYTES, LABELS)
    with pytest.raises(MemoryError, match="batches of 128 images .*; try batch_size=64"):
        fitted.set_params(batch_size=128).predict(BYTES)


def test_a_batch_larger_than_the_data_set():
    assert quick(batch_size=10_000, max_epochs=60).fit(BYTES, LABELS).score(BYTES, LABELS) > 0.8


def test_a_class_absent_from_a_fold():
    y = LABELS.copy()
    y[0] = 77
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn, of the class with one member
        proba = cross_val_predict(quick(), BYTES, y, cv=3, method="predict_proba")
    assert proba.shape == (300, 11) and np.isfinite(proba).all()


def test_images_too_small_for_the_users_network():
    class Deep(nn.Sequential):
        def __init__(self, *, n_channels, image_size, n_classes):
            super().__init__(
                nn.Conv2d(n_channels, 4, 5), nn.MaxPool2d(4), nn.Conv2d(4, 4, 3), nn.Flatten(),
                nn.LazyLinear(n_classes),
            )  # fmt: skip

    with pytest.raises(ValueError, match=r"too small for its layer 2 \(Conv2d\).* 16x16 or larger"):
        quick(Deep).fit(BYTES, LABELS)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"ema_decay": 1}, "ema_decay must be None or a number between 0 and 1"),
        ({"clip_grad_norm": 0}, "clip_grad_norm must be None or a positive number"),
        ({"weight_decay": -1}, "weight_decay must be None or a number from 0"),
        ({"n_iter_no_change": 0}, "n_iter_no_change must be a whole number from 1"),
        ({"precision": "half"}, "precision must be one of 'auto', 'float32', 'bfloat16'"),
        ({"channels_last": "yes"}, "channels_last must be one of 'auto', True, False"),
        ({"augmentation": {"shift": 3}}, "augmentation must be None or an Augmentation"),
        ({"augmentation": Augmentation(shift=-1)}, r"Augmentation\(shift=-1\)"),
        ({"tta": "flip"}, "tta='flip' is unknown"),
        ({"tta": "ten_crops"}, "tta='ten_crops' needs crop_size"),
        ({"crop_size": 9}, r"crop_size=9\): crop_size must be no larger than the images, \(8, 8\)"),
        ({"crop_size": 6.0}, "crop_size must be None, a positive int, or a pair"),
        ({"crop_size": True}, "crop_size must be None, a positive int, or a pair"),
        ({"early_stopping": "no"}, "early_stopping must be one of False, True"),
        ({"warm_start": "no"}, "warm_start must be one of False, True"),
        ({"checkpoint": 3}, "checkpoint must be None or the path of a folder"),
        ({"tensorboard": ""}, "tensorboard must be None or the path of a folder"),
        ({"criterion__reduction": "sum"}, "criterion__reduction is for CNNClassifier to choose"),
        ({"weight_decay": 0.1, "optimizer__weight_decay": 0.2}, "are both set; set one"),
        ({"callbacks__stopp__patience": 3}, "callbacks__stopp__patience is a parameter of no"),
        ({"device": "meta"}, "device='meta' is unknown"),
        ({"device": "mps"}, "device='mps' was asked for"),
        ({"crop_size": (4, 0)}, "crop_size must be None, a positive int, or a pair"),
    ],
)
def test_bad_parameters(params, message):
    classifier = quick(**params)
    with pytest.raises(ValueError, match=message):
        classifier.fit(BYTES, LABELS)
    with pytest.raises(NotFittedError):
        classifier.predict(BYTES)


def test_a_module_that_returns_a_pair():
    class Pair(SoftmaxRegression):
        def forward(self, x):
            return super().forward(x), 1

    with pytest.raises(ValueError, match=r"Pair returned tuple for 32 images of 10 .*\(32, 10\)"):
        quick(Pair).fit(BYTES, LABELS)


def test_options_of_no_augmentation():
    with pytest.raises(ValueError, match="augmentation__shift cannot be set while augmentation is"):
        quick().set_params(augmentation__shift=3)
    both = quick().set_params(augmentation=Augmentation(), augmentation__shift=3)
    assert both.augmentation.shift == 3


def test_an_optimizer_of_the_users_sees_weights_as_they_usually_are():
    """torch's LBFGS takes views of them, which fail with the channels last."""
    images = np.kron(BYTES[:50], np.ones((4, 4), dtype=np.uint8))
    fitted = quick("lenet", optimizer=torch.optim.LBFGS, lr=0.1, max_epochs=1)
    assert np.isfinite(fitted.fit(images, LABELS[:50]).predict_proba(images)).all()


# --------------------------------------------------------------- networks that look at the images


def test_a_network_is_shown_images_before_training():
    class Curious(SoftmaxRegression):
        def initialize_from(self, images):
            self.shown = images

    fitted = quick(Curious, validation_fraction=0.2, crop_size=6).fit(BYTES, LABELS)
    shown, rows = fitted.module_.shown, fitted.net_.train_split.keywords["train"]
    assert shown.shape == (240, 1, 6, 6)
    pixels = torch.from_numpy(BYTES[rows][:, 1:7, 1:7] / 255).float()
    torch.testing.assert_close(
        shown[:, 0], (pixels - fitted.pixel_mean_[0]) / fitted.pixel_std_[0], rtol=1e-4, atol=1e-4
    )


# ------------------------------------------------------------------ images that fit into no memory


def test_images_that_do_not_fit_are_read_anew(monkeypatch, tmp_path):
    from PIL import Image

    paths = []
    for number, image in enumerate(BYTES[:60]):
        pixels = np.repeat(image[..., None], 3, 2) if number == 40 else image  # one of them is RGB
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        paths.append(tmp_path / f"{number}.png")
    augmentation = Augmentation(mirror="alternating", shift=1)
    params = {"augmentation": augmentation, "validation_fraction": 0.2}
    expected = quick("mlp", **params).fit(paths, LABELS[:60])
    monkeypatch.setattr(pixels_module, "free_memory", lambda: 60 * 64)
    with pytest.warns(UserWarning, match="CNNClassifier reads 60 images anew in each epoch") as w:
        lazy = quick("mlp", **params).fit(paths, LABELS[:60])
    assert len(w) == 1 and lazy.image_shape_in_ == (8, 8, 3)
    assert_same_weights(lazy, expected)
    with pytest.warns(UserWarning, match="anew"), pytest.raises(ValueError, match="unequal sizes"):
        quick().fit([BYTES[0], BYTES[1, 1:]] * 40, LABELS[:80] % 2)


# ------------------------------------------------------------- what a resumed training remembers


def interrupted_in(epoch):
    """A callback, as a list, that breaks the training off when this epoch begins."""

    class Break(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == epoch:
                raise RuntimeError("the power failed")

    return [Break()]


@pytest.mark.parametrize("n_later", [1, 3])
def test_a_resumed_training_remembers_its_best_epoch(tmp_path, n_later):
    params = {"early_stopping": True, "n_iter_no_change": 4, "lr": 0.5, "max_epochs": 60}
    expected = quick(**params).fit(BYTES, LABELS)
    best = int(np.argmin(expected.history_[:, "valid_loss"])) + 1  # counted from 1
    params["checkpoint"] = tmp_path
    with pytest.raises(RuntimeError, match="the power failed"):
        quick(**params, callbacks=interrupted_in(best + n_later)).fit(BYTES, LABELS)
    resumed = quick(**params).fit(BYTES, LABELS)
    assert resumed.n_iter_ == expected.n_iter_ == best + 4
    assert_same_weights(resumed, expected)


def test_a_resumed_training_that_diverges_at_once_keeps_what_it_had(tmp_path):
    class Sabotage(Callback):
        def on_epoch_begin(self, net, **kwargs):
            net.optimizer_.param_groups[0]["lr"] = 1e38

    params = {"module": "mlp", "optimizer": "sgd", "checkpoint": tmp_path}
    with pytest.raises(RuntimeError, match="the power failed"):
        quick(**params, callbacks=interrupted_in(3)).fit(BYTES, LABELS)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 3, .* weights of epoch 2"):
        resumed = quick(**params, callbacks=[Sabotage()]).fit(BYTES, LABELS)
    assert resumed.n_iter_ == 2
    expected = quick("mlp", optimizer="sgd", max_epochs=2).fit(BYTES, LABELS)
    assert_same_weights(resumed, expected)


class Tempered(nn.Module):
    """A loss that learns, too."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, logits, labels):
        return nn.functional.cross_entropy(self.scale * logits, labels)


def test_a_resumed_training_remembers_what_its_loss_had_learned(tmp_path):
    expected = quick(criterion=Tempered).fit(BYTES, LABELS)
    params = {"criterion": Tempered, "checkpoint": tmp_path}
    with pytest.raises(RuntimeError, match="the power failed"):
        quick(**params, callbacks=interrupted_in(4)).fit(BYTES, LABELS)
    resumed = quick(**params).fit(BYTES, LABELS)
    assert_same_weights(resumed, expected)
    assert torch.equal(resumed.net_.criterion_.scale, expected.net_.criterion_.scale)
    assert abs(expected.net_.criterion_.scale.item() - 1) > 0.05


# --------------------------------------------------------------- what is told and what is kept


def test_history_has_the_rate_of_the_last_step():
    fitted = quick(lr_schedule="linear", max_epochs=2, batch_size=100).fit(BYTES, LABELS)
    expected = [0.02 * (1 - step / 6) for step in (2, 5)]
    assert fitted.history_[:, "lr"] == pytest.approx(expected)


def test_the_loss_of_a_step_is_that_before_it():
    """Also of an optimizer that looks at several points, and settles at a lower one."""
    params = {"max_epochs": 1, "batch_size": 300, "lr": 0.1}
    losses = [
        quick(optimizer=optimizer, **params).fit(BYTES, LABELS).history_[0, "train_loss"]
        for optimizer in ("sgd", torch.optim.LBFGS)
    ]
    assert losses[0] == pytest.approx(losses[1])


def test_a_class_of_no_weight_among_balanced_ones():
    fitted = quick(class_weight="balanced").fit(BYTES, LABELS, sample_weight=LABELS != 3)
    assert fitted.predict_proba(BYTES).shape == (300, 10)
    assert fitted.score(BYTES[LABELS != 3], LABELS[LABELS != 3]) > 0.85


def test_no_level_of_grey_rounds_to_a_deviation():
    for level in range(256):
        constant = torch.full((3, 1, 7, 5), level, dtype=torch.uint8)
        _, std = pixels_module.pixel_statistics(constant)
        assert std.tolist() == [1], level


def test_images_read_anew_are_those_read_at_once():
    colour = np.repeat(BYTES[4][..., None], 3, 2) / 255
    images = as_images([*BYTES[:4], colour, *BYTES[5:8]])
    lazy = pixels_module.LazyPixels(images, "CNNClassifier")
    expected = pixels_module.read_all(images, "CNNClassifier")
    assert lazy.shape == expected.shape == (8, 3, 8, 8)
    assert lazy.dtype == expected.dtype == torch.float32
    for rows in (slice(0, 3), slice(3, 6), torch.tensor([7, 4, 0])):
        assert lazy[rows].dtype == torch.float32
        assert torch.equal(lazy[rows], expected[rows])


class Stochastic(nn.Module):
    """Draws in evaluation too: one number a pass, which decides the class."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        drawn = torch.rand(1) * 9 * self.scale.detach()
        first = drawn + self.scale + 0 * images.mean((1, 2, 3))
        return torch.stack([first, 0 * first], dim=1)


def test_n_tests_averages_passes_that_are_the_same_each_time():
    images, labels = np.random.default_rng(0).random((20, 4, 4)), np.arange(20) % 2
    net = CNNClassifier(Stochastic, max_epochs=1, batch_size=8, random_state=0).fit(images, labels)
    scale = net.module_.scale.item()
    expected = []
    for seed in range(3):
        drawn = torch.rand(1, generator=torch.Generator().manual_seed(seed)).item()
        expected.append(1 / (1 + np.exp(-(drawn * 9 * scale + scale))))
    for n_tests in (1, 2, 3):
        given = net.set_params(n_tests=n_tests).predict_proba(images)[:, 0]
        np.testing.assert_allclose(given, np.mean(expected[:n_tests]), rtol=1e-5)
    assert len(set(expected)) == 3


def test_n_tests_has_to_be_a_count():
    with pytest.raises(ValueError, match=r"n_tests=0\): n_tests must be a whole number from 1"):
        CNNClassifier("softmax", n_tests=0).fit(np.zeros((4, 2, 2)), [0, 1, 0, 1])


class OwnLoss(nn.Module):
    """Trains on half of the criterion's loss plus the square of its bias."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.dense = nn.Linear(n_channels * image_size[0] * image_size[1], n_classes)

    def forward(self, images):
        return self.dense(images.flatten(1))

    def training_loss(self, images, labels, criterion):
        assert self.training
        logits = self(images)
        return criterion(logits, labels) / 2 + self.dense.bias.square().sum(), logits


@pytest.mark.parametrize("weighted", [False, True])
def test_training_loss_of_the_network_takes_the_place_of_the_criterion(weighted):
    rng = np.random.default_rng(0)
    images, labels = rng.random((30, 3, 3), dtype=np.float32), np.arange(30) % 3
    weights = rng.random(30) + 0.5 if weighted else None
    net = CNNClassifier(
        OwnLoss,
        max_epochs=1,
        batch_size=30,
        lr=0.1,
        lr_schedule=None,
        optimizer=torch.optim.SGD,
        criterion__label_smoothing=0.0,
        random_state=0,
        channels_last=False,
    )
    trained = net.fit(images, labels, sample_weight=weights)
    untrained = CNNClassifier(OwnLoss, max_epochs=1, lr=1e-30, random_state=0)
    untrained.fit(images, labels)
    dense = untrained.module_.dense
    dense.zero_grad()
    x = (torch.from_numpy(images)[:, None] - float(net.pixel_mean_[0])) / float(net.pixel_std_[0])
    losses = nn.functional.cross_entropy(
        dense(x.flatten(1)), torch.from_numpy(labels), reduction="none"
    )
    w = torch.ones(30) if weights is None else torch.tensor(weights / weights.mean()).float()
    # the network's own term counts for each image, and so once in their weighted mean
    loss = (w * losses).mean() / 2 + dense.bias.square().sum()
    loss.backward()
    np.testing.assert_allclose(trained.history_[-1, "train_loss"], loss.item(), rtol=1e-5)
    for name in ("weight", "bias"):
        before = getattr(dense, name)
        expected = before - 0.1 * before.grad
        torch.testing.assert_close(getattr(trained.module_.dense, name), expected)


class InBfloat16(OwnLoss):
    def training_loss(self, images, labels, criterion):
        loss, logits = super().training_loss(images, labels, criterion)
        assert logits.dtype == torch.bfloat16
        return loss, logits


class FewLogits(OwnLoss):
    def training_loss(self, images, labels, criterion):
        loss, logits = super().training_loss(images, labels, criterion)
        return loss, logits[:, :1]


def test_training_loss_is_computed_in_the_precision_asked_for_and_its_logits_are_checked():
    images, labels = np.random.default_rng(0).random((6, 3, 3)), np.arange(6) % 3
    quick(InBfloat16, max_epochs=1, precision="bfloat16").fit(images, labels)
    with pytest.raises(
        ValueError, match=r"FewLogits returned logits of shape \(6, 1\) for 6 images"
    ):
        quick(FewLogits, max_epochs=1).fit(images, labels)
