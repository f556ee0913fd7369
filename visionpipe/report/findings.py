"""What a page says of a comparison, found out once and used by every section."""

from dataclasses import dataclass
from functools import cached_property

__all__ = ["Findings"]


@dataclass(frozen=True)
class Findings:
    """The figures of a comparison, as the sections of a page want them.

    Attributes
    ----------
    comparison : Comparison
    """

    comparison: object

    @cached_property
    def rows(self):
        """Rows, the most accurate first, those that failed on a fold last."""
        return sorted(self.comparison.rows, key=lambda row: (bool(row.error), -(row.accuracy or 0)))

    @cached_property
    def best(self):
        """Row of the most accurate pipeline of those that never failed, None without one."""
        if all(row.error for row in self.rows):
            return None
        return next(row for row in self.rows if row.pipeline == self.comparison.best_)

    @cached_property
    def verdicts(self):
        """Verdicts against the best by pipeline, none where there is no best."""
        found = [] if self.best is None else self.comparison.verdicts()
        return {verdict.pipeline: verdict for verdict in found}

    @cached_property
    def answering(self):
        """Names of the pipelines that have been through a fold at least, in the order of `rows`."""
        return [row.pipeline for row in self.rows if row.accuracy is not None]

    @cached_property
    def answers(self):
        """What each of `answering` said of the held-out images: rows and `Answers`."""
        return {name: self.comparison.answers(name) for name in self.answering}
