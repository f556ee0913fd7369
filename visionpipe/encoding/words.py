"""The words of a vocabulary, learned from a sample of descriptors."""

import warnings

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from visionpipe.kernels.k_means import k_means

# For 400 words of 100,000 whitened patches of CIFAR-10, 20 iterations from a random start come
# within 0.3 % of the sum of squares after the 50 of Coates, Lee and Ng (2011); k-means++ and 50
# iterations would be another 0.4 % better, and take five times as long.
N_ITERATIONS = 20


def learn_words(sample, n_words, *, random_state, device, owner):
    """Cluster descriptors around words, by k-means from a random start.

    Parameters
    ----------
    sample : ndarray of float32 of shape (m, d)
        May come back changed by rounding.
    n_words : int
    random_state : int, RandomState or None
        Draws the start. The same seed gives the same bits on the same CPU.
    device : torch.device
        On a CPU, `sklearn.cluster.KMeans` does the work; else `visionpipe.kernels.k_means`.
    owner : str
        Whose words they are: error messages begin with it.

    Returns
    -------
    ndarray of float32 of shape (n_words, d)
        Finite; if there are fewer distinct descriptors than words, some words are alike.

    Raises
    ------
    ValueError
        If there are fewer descriptors than words.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from visionpipe.encoding.words import learn_words
    >>> sample = np.array([[0], [1], [10], [12]], dtype=np.float32)
    >>> cpu = torch.device("cpu")
    >>> np.sort(learn_words(sample, 2, random_state=0, device=cpu, owner="example"), axis=0)
    array([[ 0.5],
           [11. ]], dtype=float32)
    """
    _check_enough(sample, n_words, owner)
    rng = check_random_state(random_state)
    if device.type == "cpu":
        return _learn_on_cpu(sample, n_words, rng)
    generator = torch.Generator().manual_seed(int(rng.randint(2**31 - 1)))
    rows = torch.from_numpy(sample).to(device)
    words = k_means(rows, n_words, n_iterations=N_ITERATIONS, generator=generator)
    return words.cpu().numpy()


def draw_words(sample, n_words, *, random_state, owner):
    """Draw descriptors at random to be the words.

    Parameters
    ----------
    sample : ndarray of float32 of shape (m, d)
    n_words : int
    random_state : int, RandomState or None
    owner : str
        Whose words they are: error messages begin with it.

    Returns
    -------
    ndarray of float32 of shape (n_words, d)
        Rows of `sample`, none of them twice.

    Raises
    ------
    ValueError
        If there are fewer descriptors than words.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe.encoding.words import draw_words
    >>> draw_words(np.eye(5, dtype=np.float32), 3, random_state=0, owner="example").shape
    (3, 5)
    """
    _check_enough(sample, n_words, owner)
    return sample[check_random_state(random_state).permutation(len(sample))[:n_words]]


def _check_enough(sample, n_words, owner):
    if len(sample) < n_words:
        raise ValueError(
            f"{owner} got {len(sample)} descriptors to learn {n_words} words from; take fewer "
            "words, or more or larger images, or a larger sample of their descriptors"
        )


def _learn_on_cpu(sample, n_words, rng):
    model = KMeans(
        n_words,
        init="random",
        n_init=1,
        max_iter=N_ITERATIONS,
        random_state=rng,
        copy_x=False,  # the mean is taken from the sample in place, and added again
    )
    # The threads of KMeans each add up a part of the sums, in order of arrival: their number, and
    # of more than two also timing, would decide the last bits. With one, a seed gives the same
    # words in a worker of joblib and outside, for up to twice the time.
    with threadpool_limits(1, user_api="openmp"), warnings.catch_warnings():
        # fewer distinct descriptors than words: blank images, for instance
        warnings.filterwarnings("ignore", "Number of distinct clusters", ConvergenceWarning)
        return np.asarray(model.fit(sample).cluster_centers_, dtype=np.float32)
