"""Dense RootSIFT, VLAD in a pyramid, and a linear SVM (Jegou et al. 2010)."""

from sklearn.pipeline import Pipeline

from visionpipe import VLAD, Rescale, RootSIFT, WideLinearSVC

PARAM_GRID = {
    "vlad__n_words": [32, 64],
    "vlad__pyramid": [(1,), (1, 2)],
    "svm__C": [1, 10],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` draws the sample and starts k-means."""
    return Pipeline(
        [
            ("rescale", Rescale((48, 128))),
            ("sift", RootSIFT(detector="dense", step=4, bin_sizes=(4, 6, 8, 10))),
            ("vlad", VLAD(64, pyramid=(1, 2), n_samples=60_000, random_state=random_state)),
            ("svm", WideLinearSVC(C=10, random_state=random_state)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("vlad_svm", build, PARAM_GRID))
