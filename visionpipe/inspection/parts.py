"""The parts of a fitted estimator: what a search found, the steps before a network, the network."""

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from visionpipe.deep.autoencoder import Autoencoder
from visionpipe.deep.classifier import CNNClassifier

__all__ = ["WITH_FILTERS", "best_of", "ends_in_network", "flat_steps", "split_at_network"]

WITH_FILTERS = (CNNClassifier, Autoencoder)


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


def split_at_network(estimator, *, owner, kinds=(CNNClassifier,)):
    """Take an estimator apart into the steps before its network and the network.

    Parameters
    ----------
    estimator : CNNClassifier, Autoencoder, Pipeline or search
        Fitted; its last step of one of the kinds.
    owner : str
        Who asks, for the error message.
    kinds : tuple of classes
        The estimators that count as networks.

    Returns
    -------
    steps : list of transformers
    network : estimator
        Of one of the kinds.

    Raises
    ------
    ValueError
        If the estimator does not end in one.
    NotFittedError
        If it is not fitted.
    """
    *steps, network = flat_steps(best_of(estimator))
    if not isinstance(network, kinds):
        raise ValueError(f"{owner} got {_got(estimator, steps, network)}; {_wanted(steps, kinds)}")
    check_is_fitted(network, "net_")
    return steps, network


def _got(estimator, steps, network):
    parts = ", ".join(type(step).__name__ for step in (*steps, network))
    return _a(type(estimator)) + (f" of {parts}" if steps else "")


def _wanted(steps, kinds):
    of_a_kind = [type(step).__name__ for step in steps if isinstance(step, kinds)]
    if of_a_kind:
        return f"wanted the {of_a_kind[-1]} alone, which is a step of it"
    names = " or ".join(map(_a, kinds))
    return f"wanted {names}, or a Pipeline or a fitted search that ends in one"


def _a(cls):
    return f"{'an' if cls.__name__[0] in 'AEIOU' else 'a'} {cls.__name__}"


def flat_steps(estimator):
    """Steps of a Pipeline, and of those in it, one after the other; or the estimator alone."""
    if not isinstance(estimator, Pipeline):
        return [estimator]
    used = [step for _, step in estimator.steps if step not in (None, "passthrough")]
    return [inner for step in used for inner in flat_steps(step)]
