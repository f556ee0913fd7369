"""The parts of a fitted estimator: what a search found, the steps before a network, the network."""

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from visionpipe.deep.classifier import CNNClassifier

__all__ = ["best_of", "ends_in_network", "flat_steps", "split_at_network"]


def best_of(estimator):
    """The best estimator of a search, refitted; anything else as it is."""
    return getattr(estimator, "best_estimator_", estimator)


def ends_in_network(estimator):
    """Whether the last step is a CNNClassifier, fitted or not.

    Parameters
    ----------
    estimator : estimator
        A `CNNClassifier`, a `Pipeline`, or a search over either.

    Returns
    -------
    bool
    """
    return isinstance(flat_steps(best_of(estimator))[-1], CNNClassifier)


def split_at_network(estimator, *, owner):
    """Take an estimator apart into the steps before its network and the network.

    Parameters
    ----------
    estimator : CNNClassifier, Pipeline or search
        Fitted; its last step a CNNClassifier.
    owner : str
        Who asks, for the error message.

    Returns
    -------
    steps : list of transformers
    network : CNNClassifier

    Raises
    ------
    ValueError
        If the estimator does not end in a CNNClassifier.
    NotFittedError
        If it is not fitted.
    """
    *steps, network = flat_steps(best_of(estimator))
    if not isinstance(network, CNNClassifier):
        got = type(estimator).__name__
        if steps:
            got += " of " + ", ".join(type(step).__name__ for step in (*steps, network))
        raise ValueError(
            f"{owner} got a {got}; wanted a CNNClassifier, or a Pipeline or a fitted search that "
            "ends in one"
        )
    check_is_fitted(network, "net_")
    return steps, network


def flat_steps(estimator):
    """Steps of a Pipeline, and of those in it, one after the other; or the estimator alone."""
    if not isinstance(estimator, Pipeline):
        return [estimator]
    used = [step for _, step in estimator.steps if step not in (None, "passthrough")]
    return [inner for step in used for inner in flat_steps(step)]
