"""A table of a page, before it is HTML."""

from dataclasses import dataclass, field

__all__ = ["Cell", "Table"]

LONGEST_NAME = 24  # characters


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    text : str
    small : str, default=""
        What stands below it, such as an interval.
    kind : str, default=""
        A class of the style sheet, such as "right" or "wrong".
    shade : float, default=0
        In 0..1, how strongly the cell is coloured.
    n_columns : int, default=1
        Columns that it covers.
    """

    text: str
    small: str = ""
    kind: str = ""
    shade: float = 0
    n_columns: int = 1


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Attributes
    ----------
    caption : str
    header : list of str
        Of all columns.
    rows : list of (str, list of Cell)
        Name and cells of each.
    kind : str, default=""
        A class of the style sheet.
    """

    caption: str
    header: list
    rows: list = field(default_factory=list)
    kind: str = ""

    @property
    def name_width(self):
        """Characters that the first column has room for; longer names are broken.

        Examples
        --------
        >>> from visionpipe.report.table import Table
        >>> Table("Scores", ["pipeline", "accuracy"], [("hog_svm", [])]).name_width
        9
        >>> Table("Scores", ["pipeline", "accuracy"], [("hog_" * 10, [])]).name_width
        24
        """
        longest = max(len(name) for name in (self.header[0], *(name for name, _ in self.rows)))
        return min(longest + 1, LONGEST_NAME)
