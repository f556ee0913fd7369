"""What a comparison keeps of a pipeline: its answers on every fold, and what it costs."""

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Cost", "CurvePoint", "Outcome", "Picture", "Result"]


@dataclass(frozen=True)
class Cost:
    """What a fitted pipeline takes, measured on the first fold, while no other one is fitted.

    Attributes
    ----------
    predict_ms_batch_1 : float
        Milliseconds to predict one image, alone; median of up to 20 images.
    predict_ms_batch_256 : float
        Milliseconds an image, if up to 256 are predicted at a time; the quicker of 2 times.
    model_bytes : int
        Size of the fitted pipeline as joblib writes it.
    peak_bytes : int or None
        By how much the memory of the process grew at most while the pipeline was fitted and
        predicted the held-out images; None where the system does not tell (it is Linux that does).
    """

    predict_ms_batch_1: float
    predict_ms_batch_256: float
    model_bytes: int
    peak_bytes: int | None


@dataclass(frozen=True)
class Picture:
    """A picture of what a fitted pipeline looks at.

    Attributes
    ----------
    kind : {"glyphs", "words", "reasons"}
    caption : str
        What is seen, in a sentence.
    png : bytes
    """

    kind: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class Outcome:
    """What a pipeline did on one fold.

    Attributes
    ----------
    error : str or None
        Why it failed, in one line; then all else is empty.
    predicted : ndarray of int32 of shape (n_test,)
        Numbers of the predicted classes; -1 is a class that the data does not have.
    in_top_5 : ndarray of bool of shape (n_test,) or None
    probabilities : ndarray of float32 of shape (n_test, n_classes) or None
    fit_seconds, predict_seconds : float
        Wall-clock times of fitting, without a search, and of predicting all held-out images. True
        of the first fold only: others are fitted side by side, and share features.
    chosen : dict of str to object or None
        Parameters that a search within the training images has chosen.
    search_seconds : float or None
        What that search took.
    n_fits : int or None
        And how many fits it was.
    cost : Cost or None
        Of the first fold.
    pictures : tuple of Picture
        Of the first fold.
    notes : tuple of str
        What the reader of a figure should know.
    """

    error: str | None = None
    predicted: np.ndarray | None = None
    in_top_5: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    fit_seconds: float = 0.0
    predict_seconds: float = 0.0
    chosen: dict | None = None
    search_seconds: float | None = None
    n_fits: int | None = None
    cost: Cost | None = None
    pictures: tuple = ()
    notes: tuple = ()


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy on one fold, of so many images to learn from.

    Attributes
    ----------
    n_train : int
    fold : int
    accuracy : float
        NaN if the fit failed.
    """

    n_train: int
    fold: int
    accuracy: float


@dataclass
class Result:
    """All that a comparison knows of a pipeline.

    Attributes
    ----------
    description : str
        Steps and parameters, as code.
    outcomes : list of Outcome
        One a fold.
    curve : list of CurvePoint
    hardware : str
    versions : dict of str to str
        Of the machine that it was run on.
    """

    description: str
    outcomes: list = field(default_factory=list)
    curve: list = field(default_factory=list)
    hardware: str = ""
    versions: dict = field(default_factory=dict)
