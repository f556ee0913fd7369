"""Numbers and lists as they are read."""

import math

__all__ = ["NOTHING", "listed", "p_value", "percent", "points", "significant", "size", "span"]

NOTHING = "\N{EN DASH}"  # stands where there is no number


def percent(share):
    """Write a share in percent, without the sign.

    Examples
    --------
    >>> from visionpipe.report.formats import NOTHING, percent
    >>> percent(0.98765), percent(1), percent(None) == percent(float("nan")) == NOTHING
    ('98.77', '100.00', True)
    """
    return NOTHING if _is_missing(share) else f"{100 * share:.2f}"


def points(difference):
    r"""Write a difference of shares in percentage points, with a sign as wide as the plus.

    Examples
    --------
    >>> from visionpipe.report.formats import points
    >>> points(0.0123), points(-0.0123) == "\N{MINUS SIGN}1.23"
    ('+1.23', True)
    """
    return (
        NOTHING
        if _is_missing(difference)
        else f"{100 * difference:+.2f}".replace("-", "\N{MINUS SIGN}")
    )


def span(low, high, write=percent):
    """Write an interval; nothing at all where there is none.

    Examples
    --------
    >>> from visionpipe.report.formats import span
    >>> span(0.9, 0.95), span(float("nan"), float("nan"))
    ('90.00 to 95.00', '')
    """
    return "" if _is_missing(low) or _is_missing(high) else f"{write(low)} to {write(high)}"


def significant(number):
    """Write three digits of a number, and all of those before the point.

    Examples
    --------
    >>> from visionpipe.report.formats import significant
    >>> significant(0.012345), significant(1.2), significant(12345.6), significant(0)
    ('0.0123', '1.20', '12,346', '0')
    >>> significant(0.00000123), significant(999.7)
    ('0.00000123', '1,000')
    """
    if _is_missing(number):
        return NOTHING
    if number == 0:
        return "0"
    n_places = 2 - math.floor(math.log10(abs(number)))
    return f"{number:,.{max(0, n_places)}f}"


def size(n_bytes):
    """Write a number of bytes in the unit that suits it, of powers of a thousand.

    Examples
    --------
    >>> from visionpipe.report.formats import size
    >>> size(35453), size(5651012), size(999)
    ('35.5 kB', '5.65 MB', '999 bytes')
    """
    if _is_missing(n_bytes):
        return NOTHING
    power = min(3, int(math.log10(max(1, n_bytes)) // 3))
    return f"{significant(n_bytes / 1000**power)} {('bytes', 'kB', 'MB', 'GB')[power]}"


def p_value(p):
    """Write a p-value with two digits, down to a thousandth.

    Examples
    --------
    >>> from visionpipe.report.formats import p_value
    >>> p_value(0.5512), p_value(0.0456), p_value(0.00001)
    ('0.55', '0.046', '< 0.001')
    """
    if _is_missing(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def listed(names, most=None):
    """Join names as a sentence does, and of many only count those after the first.

    Examples
    --------
    >>> from visionpipe.report.formats import listed
    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], most=3)
    ('a', 'a, b and c', 'a, b and 2 more')
    """
    names = [*map(str, names)]
    if most is not None and len(names) > most:
        names[most - 1 :] = [f"{len(names) - most + 1:,} more"]
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _is_missing(number):
    return number is None or math.isnan(number)
