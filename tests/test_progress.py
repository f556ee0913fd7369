"""What transformers and encoders tell scikit-learn's callbacks while they are fitted."""

import warnings

import numpy as np
import pytest
from sklearn.callback import ProgressBar
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from visionpipe import (
    HOG,
    VLAD,
    BagOfVisualWords,
    DenseSIFT,
    Deskew,
    FisherVector,
    Grayscale,
    PatchKMeans,
    Resize,
    Unflatten,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 16, 16), dtype=np.uint8)
LABELS = np.arange(12) % 2
ENCODERS = [
    (BagOfVisualWords(3, random_state=0), ["sample", "words"]),
    (
        BagOfVisualWords(3, weighting="tfidf", random_state=0),
        ["sample", "words", "document frequencies"],
    ),
    (VLAD(3, random_state=0), ["sample", "words"]),
    (
        FisherVector(2, n_dimensions=3, random_state=0),
        ["sample", "projection", "words", "mixture"],
    ),
]


class Witness:
    """Notes what it is told: begin and end of tasks, by name."""

    max_propagation_depth = None

    def __init__(self):
        self.told = []

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.told.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context):
        self.told.append(f"end {context.task_name}")


def told_of_stages(stages):
    inside = [f"{moment} {stage}" for stage in stages for moment in ("begin", "end")]
    return ["setup", "begin fit", *inside, "end fit", "teardown"]


@pytest.mark.parametrize(
    ("transformer", "X"),
    [
        (HOG(), IMAGES.repeat(2, axis=1).repeat(2, axis=2)),
        (Resize(8), IMAGES),
        (DenseSIFT(bin_sizes=(3,)), IMAGES),
        (Unflatten((2, 2)), np.zeros((3, 4))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_learns_nothing_tells_of_its_fit(transformer, X):
    witness = Witness()
    transformer.set_callbacks(witness).fit_transform(X)
    assert witness.told == told_of_stages([])


@pytest.mark.parametrize(("encoder", "stages"), ENCODERS, ids=lambda value: str(value)[:40])
def test_encoders_tell_of_their_stages(encoder, stages, tmp_path):
    sets = DenseSIFT(step=2, bin_sizes=(3,)).fit_transform(IMAGES)
    encoder.set_params(store=tmp_path / "store.sqlite")
    for expected in (stages, []):  # nothing is learned again
        witness = Witness()
        encoder.set_callbacks(witness).fit(sets)
        assert witness.told == told_of_stages(expected)


def test_patches_tell_of_their_stages():
    for fit in ("fit", "fit_transform"):
        witness = Witness()
        patches = PatchKMeans(4, patch_size=3, random_state=0).set_callbacks(witness)
        getattr(patches, fit)(IMAGES)
        assert witness.told == told_of_stages(["sample", "words", "sums"])


def test_a_fit_that_fails_is_torn_down():
    witness = Witness()
    with pytest.raises(ValueError, match="descriptors to learn 5000 words"):
        BagOfVisualWords(5000).set_callbacks(witness).fit([np.eye(4)])
    assert witness.told == [
        *("setup", "begin fit", "begin sample", "end sample", "begin words", "teardown")
    ]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_shows_all_of_it(n_jobs, capsys):
    pipeline = make_pipeline(
        Grayscale(),
        Resize(20),
        Deskew(),
        DenseSIFT(step=3, bin_sizes=(3,)),
        BagOfVisualWords(3, random_state=0),
        LogisticRegression(),
    )
    search = GridSearchCV(pipeline, {"bagofvisualwords__n_words": [2, 3]}, cv=2, n_jobs=n_jobs)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The estimator .* does not support callbacks")
        search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(IMAGES, LABELS)
    shown = capsys.readouterr().out
    assert "GridSearchCV" in shown and "BagOfVisualWords - fit" in shown
