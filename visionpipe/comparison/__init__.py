"""Pipelines on identical folds, and what may be concluded of them."""

from visionpipe.comparison.compare import compare
from visionpipe.comparison.comparison import Comparison
from visionpipe.comparison.folds import draw_rows, make_folds

__all__ = ["Comparison", "compare", "draw_rows", "make_folds"]
