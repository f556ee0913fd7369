"""PHOW: dense SIFT of four sizes, words in a pyramid, the chi-squared map, a linear SVM.

A. Bosch, A. Zisserman and X. Munoz, ICCV 2007, as in VLFeat's ``phow_caltech101``.
"""

from sklearn.kernel_approximation import AdditiveChi2Sampler
from sklearn.pipeline import Pipeline

from pipelines.dense import dense_steps
from visionpipe import BagOfVisualWords, WideLinearSVC

PARAM_GRID = {
    "words__n_words": [300, 600],
    "words__pyramid": [(1, 2), (1, 2, 4)],
    "svm__C": [1, 10],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` draws the sample and starts k-means."""
    words = BagOfVisualWords(
        600, normalize="l1", pyramid=(1, 2, 4), n_samples=60_000, random_state=random_state
    )
    return Pipeline(
        [
            *dense_steps(),
            ("words", words),
            ("chi2", AdditiveChi2Sampler()),
            ("svm", WideLinearSVC(C=10, random_state=random_state)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("dense_bovw_svm", build, PARAM_GRID))
