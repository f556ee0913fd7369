"""A narrower airbench94_muon (Jordan 2024, arXiv:2404.00498): CIFAR-10 on a CPU."""

from pipelines import cifar10_fast

PARAM_GRID = {
    "net__module__widths": [(32, 64, 64), (32, 128, 128)],
    "net__max_epochs": [4, 8],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` seeds weights, order and augmentation."""
    # A quarter of the operations of airbench94_muon. Without a GPU large batches save nothing; of
    # smaller ones there are more steps in its eight epochs, with lower rates. None was tried out.
    return cifar10_fast.build(random_state).set_params(
        net__module__widths=(32, 128, 128),
        net__batch_size=500,
        net__lr=0.12,
        net__optimizer__adam_lr=0.01,
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("cifar10_airbench", build, PARAM_GRID))
