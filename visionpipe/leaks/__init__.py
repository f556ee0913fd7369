"""Proof that nothing is learned from images that are held out."""

from visionpipe.leaks.check import LeakError, leak_check

__all__ = ["LeakError", "leak_check"]
