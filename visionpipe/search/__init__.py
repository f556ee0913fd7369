"""Searches over parameters that survive a crash."""

from visionpipe.search.journal import FitRecord
from visionpipe.search.resumable import ResumableSearch

__all__ = ["FitRecord", "ResumableSearch"]
