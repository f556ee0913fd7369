"""FAST corners, SIFT descriptors, a bag of visual words and a linear SVM (Csurka et al. 2004)."""

from sklearn.pipeline import Pipeline

from visionpipe import SIFT, BagOfVisualWords, Rescale, WideLinearSVC

SEARCHED = {"words__n_words": [200, 500], "svm__C": [1, 10]}
PARAM_GRID = [
    {"sift__detector": ["fast"], "sift__threshold": [5, 10], **SEARCHED},
    {"sift__detector": ["sift"], "sift__threshold": [0.02], **SEARCHED},
]


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` draws the sample and starts k-means."""
    return Pipeline(
        [
            ("rescale", Rescale((64, 256))),
            ("sift", SIFT(detector="fast", threshold=5, max_keypoints=500)),
            ("words", BagOfVisualWords(300, n_samples=30_000, random_state=random_state)),
            ("svm", WideLinearSVC(C=10, random_state=random_state)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("sift_bovw_svm", build, PARAM_GRID))
