"""Pairs of images that are the same picture, and what follows from them for a split."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["Duplicates", "expand"]


class Duplicates:
    """Pairs of images that are the same picture, from `find_duplicates`.

    Of several images with equal pixels each is paired with the first of them, and only the first
    has near duplicates: so ten thousand blank images make ten thousand pairs and not fifty million.

    Parameters
    ----------
    first : ndarray of int of shape (n_images,)
        The first image with the same pixels, of each; mostly itself.
    pairs : ndarray of int of shape (n_pairs, 2)
    similarity : ndarray of float of shape (n_pairs,)

    Attributes
    ----------
    pairs : ndarray of int of shape (n_pairs, 2)
        Positions i < j of images, ascending.
    is_exact : ndarray of bool of shape (n_pairs,)
        Whether their pixels are equal.
    similarity : ndarray of float of shape (n_pairs,)
        Correlation of what is fine in them, 1 for equal pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe.duplicates import find_duplicates
    >>> images = np.random.default_rng(0).random((6, 32, 32))
    >>> images[5] = images[1]
    >>> duplicates = find_duplicates(images)
    >>> duplicates.groups()
    array([0, 1, 2, 3, 4, 1])
    >>> duplicates.across([0, 1, 2], [3, 4, 5]).pairs
    array([[1, 5]])
    >>> len(duplicates.with_other_label(["a", "b", "a", "b", "a", "b"]))
    0
    """

    def __init__(self, first, pairs, similarity):
        pairs = np.sort(np.reshape(pairs, (-1, 2)).astype(np.int64), axis=1)
        order = np.lexsort(pairs.T[::-1])
        self._first, self.pairs = first, pairs[order]
        self.similarity = np.asarray(similarity, dtype=np.float64)[order]
        self.is_exact = first[self.pairs[:, 0]] == first[self.pairs[:, 1]]

    def __len__(self):
        return len(self.pairs)

    def __str__(self):
        members, n_exact = np.unique(self.pairs), int(self.is_exact.sum())
        n_groups = len(np.unique(self.groups()[members]))
        return (
            f"duplicates among {len(self._first):,} images: {n_exact:,} exact, "
            f"{len(self) - n_exact:,} near ({len(members):,} images in {n_groups:,} groups)"
        )

    def __repr__(self):
        return f"<{self}>"

    def groups(self, groups=None):
        """Number the images so that duplicates, and duplicates of duplicates, share a number.

        Parameters
        ----------
        groups : array-like of shape (n_images,), default=None
            Groups that belong together anyway, such as the persons in the pictures; they are joined
            where they share a picture.

        Returns
        -------
        ndarray of int of shape (n_images,)
            From 0 on, in the order of first images: the `groups` of `compare` and of scikit-learn's
            splitters.

        Raises
        ------
        ValueError
            If there are not as many groups as images.
        """
        n_images, links = len(self._first), self.pairs
        if groups is not None:
            links = np.concatenate([links, _links(_one_each(groups, n_images, "groups"))])
        graph = coo_array((np.ones(len(links)), links.T), (n_images, n_images))
        return connected_components(graph, directed=False)[1].astype(np.int64)

    def across(self, train, test):
        """Return the duplicates that a split tears apart.

        Parameters
        ----------
        train, test : array-like of int or bool
            Positions of images, or a mask of all.

        Returns
        -------
        Duplicates
            Every image of `test` with those of `train` that it duplicates; of several equal ones of
            `train` with the first.

        Raises
        ------
        ValueError
            If an image is in both.
        """
        train, test = (np.unique(np.arange(len(self._first))[side]) for side in (train, test))
        both = np.intersect1d(train, test)
        if len(both):
            raise ValueError(
                f"{len(both)} images, the first of them {both[0]}, are in train and in test; "
                "wanted each on one side"
            )
        every, (left, right) = np.arange(len(self._first)), self._first[self.pairs.T]
        near, similarity = ~self.is_exact, self.similarity
        torn = [
            self._torn(every, every, np.ones(len(every)), train, test),
            self._torn(left[near], right[near], similarity[near], train, test),
            self._torn(right[near], left[near], similarity[near], train, test),
        ]
        return Duplicates(self._first, *map(np.concatenate, zip(*torn, strict=True)))

    def _torn(self, left, right, similarity, train, test):
        """Pairs of the first of `train` that equals left and all of `test` that equal right."""
        n_images = len(self._first)
        of_train = np.full(n_images, n_images)
        np.minimum.at(of_train, self._first[train], train)
        test = test[np.argsort(self._first[test], kind="stable")]
        start, stop = (
            np.searchsorted(self._first[test], right, side) for side in ("left", "right")
        )
        which, place = expand(np.where(of_train[left] < n_images, stop - start, 0))
        pairs = np.column_stack([of_train[left[which]], test[start[which] + place]])
        return pairs, similarity[which]

    def with_other_label(self, y):
        """Return the duplicates whose labels differ.

        Parameters
        ----------
        y : array-like of shape (n_images,)
            Classes.

        Returns
        -------
        Duplicates

        Raises
        ------
        ValueError
            If there are not as many labels as images.
        """
        y = _one_each(y, len(self._first), "labels")
        differ = y[self.pairs[:, 0]] != y[self.pairs[:, 1]]
        return Duplicates(self._first, self.pairs[differ], self.similarity[differ])


def _one_each(values, n_images, what):
    values = np.asarray(values)
    if values.shape != (n_images,):
        raise ValueError(f"there are {n_images} images and {what} of shape {values.shape}")
    return values


def _links(groups):
    """Pairs of each image with the first of its group."""
    _, first, which = np.unique(groups, return_index=True, return_inverse=True)
    return np.column_stack([first[which], np.arange(len(groups))])


def expand(counts):
    """Each position as often as its count says, and the numbers 0, 1, ... of each repetition."""
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
