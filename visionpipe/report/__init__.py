"""A comparison as a page that a person reads."""

from visionpipe.report.page import write_report

__all__ = ["write_report"]
