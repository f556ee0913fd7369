"""The folds of a comparison: stratified, seeded, grouped, repeated, and never overlapping."""

import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedShuffleSplit

from visionpipe import load_faces
from visionpipe.comparison import make_folds

FACES = load_faces()
X, Y = FACES.images, FACES.target_names[FACES.target]


def test_folds_are_stratified_and_seeded():
    folds = make_folds(X, Y, cv=5, random_state=0)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(200))
    for _, test in folds:
        assert np.unique(Y[test], return_counts=True)[1].tolist() == [20, 20]
    again = make_folds(X, Y, cv=5, random_state=0)
    other = make_folds(X, Y, cv=5, random_state=1)
    assert all((a[1] == b[1]).all() for a, b in zip(folds, again, strict=True))
    assert not all((a[1] == b[1]).all() for a, b in zip(folds, other, strict=True))


def test_groups_stay_together():
    groups = np.arange(200) // 10
    for train, test in make_folds(X, Y, cv=5, groups=groups):
        assert not set(groups[train]) & set(groups[test])


def test_splitters_are_taken_as_they_are():
    folds = make_folds(X, Y, cv=KFold(2))
    assert folds[0][1].tolist() == list(range(100))


@pytest.mark.parametrize(
    ("y", "cv", "groups", "message"),
    [
        (Y[:-1], 5, None, "200 images and 199 labels"),
        (Y, 1, None, "cv=1: wanted at least 2 folds"),
        (["one"] * 200, 5, None, "all images are of one class, one"),
        (
            ["rare"] * 3 + ["often"] * 197,
            5,
            None,
            "class rare has 3 images, fewer than the 5.*cv=3",
        ),
        (["rare"] + ["often"] * 199, 5, None, "class rare has 1 images, .*leave the class out"),
        (Y, 5, np.arange(200) // 50, "class face has 2 groups of images, fewer than the 5 folds"),
    ],
)
def test_impossible_folds_are_refused(y, cv, groups, message):
    with pytest.raises(ValueError, match=message):
        make_folds(X, y, cv=cv, groups=groups)


# ------------------------------------------------------------------------- parts, fewer images

PARTS = np.repeat(["train", "validation", "test", "train"], 50)  # of 100 faces, then 100 others


def test_parts_are_the_one_fold_and_test_is_left_for_the_end():
    ((train, held_out),) = make_folds(X, Y, parts=PARTS)
    assert train.tolist() == [*range(50), *range(150, 200)]
    assert held_out.tolist() == list(range(50, 100))
    no_validation = np.where(PARTS == "validation", "test", PARTS)
    ((train, held_out),) = make_folds(X, Y, parts=no_validation.tolist())
    assert len(train) == 100 and held_out.tolist() == list(range(50, 150))


def test_folds_of_data_with_parts_lie_within_the_training_part():
    groups = np.arange(200) // 5
    for more in ({}, {"groups": groups}):
        folds = make_folds(X, Y, cv=2, parts=PARTS, **more)
        assert len(folds) == 2
        for train, test in folds:
            assert sorted([*train, *test]) == [*range(50), *range(150, 200)]
            assert set(Y[test]) == {"face", "other"}
            if more:
                assert not set(groups[train]) & set(groups[test])


@pytest.mark.parametrize(
    ("parts", "cv", "message"),
    [
        (["train"] * 200, None, "all images are of the part train; wanted validation or test too"),
        (["test"] * 200, None, "all images are of the part test; wanted train too"),
        (["test"] * 200, 2, "all images are of the part test; wanted train too"),
        (["validation"] * 100 + ["test"] * 100, None, "the part test and validation; wanted train"),
        (PARTS[:-1], None, r"there are 200 images and parts of shape \(199,\)"),
        (["train"] * 100 + ["tset"] * 100, None, "there is a part tset; wanted train, valid"),
        (["train"] * 100 + ["test"] * 100, None, "the part train has no images of other, which"),
    ],
)
def test_parts_to_learn_from_and_to_test_on_are_wanted(parts, cv, message):
    with pytest.raises(ValueError, match=message):
        make_folds(X, Y, parts=parts, cv=cv)


def test_fewer_images_to_learn_from_are_drawn_by_class_and_seeded():
    y = np.array(["often"] * 150 + ["seldom"] * 45 + ["rare"] * 5)
    folds = make_folds(X, y, cv=5, n_train=40)
    for (train, test), (everything, same_test) in zip(folds, make_folds(X, y, cv=5), strict=True):
        assert test.tolist() == same_test.tolist() and set(train) <= set(everything)
        assert [int((y[train] == c).sum()) for c in ("often", "seldom", "rare")] == [30, 9, 1]
    again, other = (make_folds(X, y, cv=5, n_train=40, random_state=s)[0][0] for s in (0, 1))
    assert folds[0][0].tolist() == again.tolist() != other.tolist()
    smallest = make_folds(X, y, cv=5, n_train=3)[0][0]
    assert sorted(y[smallest]) == ["often", "rare", "seldom"]
    assert len(make_folds(X, y, cv=5, n_train=160)[0][0]) == 160


@pytest.mark.parametrize("n_train", [0, 1, 161])
def test_numbers_of_images_that_cannot_be_drawn_are_refused(n_train):
    with pytest.raises(ValueError, match=f"n_train={n_train}: there are 160 images of 2 classes"):
        make_folds(X, Y, cv=5, n_train=n_train)


def test_lists_serve_as_arrays_do_and_what_is_drawn_ascends():
    groups = np.arange(200) // 5
    options = {"cv": 2, "n_train": 20}
    arrays = make_folds(X, Y, parts=PARTS, groups=groups, **options)
    lists = make_folds(X, list(Y), parts=PARTS.tolist(), groups=groups.tolist(), **options)
    for one, two in zip(arrays, lists, strict=True):
        assert one[0].tolist() == two[0].tolist() and one[1].tolist() == two[1].tolist()
        assert (np.diff(one[0]) > 0).all() and len(one[0]) == 20


# --------------------------------------------------------------------------- repeats, apart


def test_repeats_are_drawn_anew_and_begin_with_the_same():
    once, thrice = make_folds(X, Y, cv=4), make_folds(X, Y, cv=4, n_repeats=3)
    assert len(thrice) == 12
    for one, two in zip(once, thrice, strict=False):
        assert one[0].tolist() == two[0].tolist() and one[1].tolist() == two[1].tolist()
    for repeat in range(3):
        tests = [test for _, test in thrice[4 * repeat : 4 * repeat + 4]]
        assert sorted(np.concatenate(tests)) == list(range(200))
    assert len({tuple(test) for _, test in thrice}) == 12
    groups = np.arange(200) // 10
    for train, test in make_folds(X, Y, cv=4, n_repeats=2, groups=groups):
        assert not set(groups[train]) & set(groups[test])


@pytest.mark.parametrize("how", [{"cv": KFold(2)}, {"parts": PARTS}])
def test_what_cannot_be_drawn_anew_is_not_repeated(how):
    with pytest.raises(ValueError, match="n_repeats=2: .* cannot be drawn anew; give a number"):
        make_folds(X, Y, n_repeats=2, **how)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([([0, 1, 150], [2, 180]), ([0, 1, 2, 150], [1, 2, 3])], "fold 1 tests on 2 images that"),
        ([([0, 1, 150], [])], "fold 0 has no images to learn from, or none to test on"),
        ([([], [1])], "fold 0 has no images to learn from"),
    ],
)
def test_folds_that_overlap_or_are_empty_are_refused(folds, message):
    folds = [tuple(np.array(part, dtype=int) for part in fold) for fold in folds]
    with pytest.raises(ValueError, match=message):
        make_folds(X, Y, cv=folds)


def test_test_sets_may_overlap():
    splitter = StratifiedShuffleSplit(5, test_size=0.3, random_state=0)
    assert len(make_folds(X, Y, cv=splitter)) == 5
