"""RootSIFT at FAST corners, a bag of visual words in a pyramid, and a linear SVM."""

from sklearn.pipeline import Pipeline

from visionpipe import BagOfVisualWords, Rescale, RootSIFT, WideLinearSVC

SEARCHED = {"words__n_words": [200, 500], "words__pyramid": [(1,), (1, 2)], "svm__C": [1, 10]}
PARAM_GRID = [
    {"sift__detector": ["fast"], "sift__threshold": [5, 10], **SEARCHED},
    {"sift__detector": ["sift"], "sift__threshold": [0.02], **SEARCHED},
]


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` draws the sample and starts k-means."""
    words = BagOfVisualWords(300, pyramid=(1, 2), n_samples=30_000, random_state=random_state)
    return Pipeline(
        [
            ("rescale", Rescale((64, 256))),
            ("sift", RootSIFT(detector="fast", threshold=5, max_keypoints=500)),
            ("words", words),
            ("svm", WideLinearSVC(C=10, random_state=random_state)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("rootsift_bovw_svm", build, PARAM_GRID))
