"""Names and figures in a chart: beside what they name, short enough, and not over each other."""

import math

import numpy as np

__all__ = [
    "COLOURS",
    "label_log_axis",
    "label_points",
    "left_out_line",
    "on_one_line",
    "stretch_accuracies",
]

# Of Okabe and Ito's palette for the colour-blind (2008) those that stand out, at 3:1 or more, from
# a white page and from a dark one; purple is darker than theirs, for that; and a grey
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#c46a9e", "#7f7f7f")

# Percent, from the one that is wanted most on; those too close to it are left out
ACCURACY_TICKS = (100, 99.9, 99.5, 99, 98, 97, 95, 90, 80, 70, 60, 50, 40, 30, 20, 10, 0)
CLOSEST_TICKS = 0.07  # of the axis
LEAST_ERROR = 0.1  # percent, added to all errors: 100 % has a place

LONGEST = 32  # characters of a name
MOST_LEFT_OUT = 4  # names that a chart tells of

# Around a point, in the order in which places are tried: right, left, then above and below
DIRECTIONS = ((1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))
DISTANCES = (6, 10, 16, 24, 34, 46, 60, 80, 100, 130, 160)  # in points, from the point
MARKER, MARGIN = 4, 2  # in points, to all sides of a point and of a name
LEADER = {"arrowstyle": "-", "color": COLOURS[4], "linewidth": 0.8, "shrinkA": 1, "shrinkB": 4}


def on_one_line(name, longest=LONGEST):
    """Make a name fit to be written into a picture.

    Parameters
    ----------
    name : object
    longest : int, default=32
        Characters. Of a longer name the middle is left out: names often differ in their ends.

    Returns
    -------
    str
        Without line breaks, and without parts of file names that are not text.

    Examples
    --------
    >>> from visionpipe.displays.labels import on_one_line
    >>> on_one_line("dense_sift_fisher_vectors_and_svm", 20)
    'dense_sift…s_and_svm'
    """
    text = " ".join(str(name).encode("utf-8", "replace").decode().split())
    if len(text) <= longest:
        return text
    n_first = longest // 2
    return text[:n_first] + "…" + text[len(text) - (longest - n_first - 1) :]


def left_out_line(left_out):
    """A line that begins anew below an axis and names what is not drawn; "" if all is drawn.

    Parameters
    ----------
    left_out : dict of str to str or None
        By name, why.

    Returns
    -------
    str
    """
    if not left_out:
        return ""
    names = [on_one_line(name, 20) for name in left_out]
    if len(names) > MOST_LEFT_OUT:
        n_more = len(names) - MOST_LEFT_OUT + 1
        names[MOST_LEFT_OUT - 1 :] = [f"{n_more} more"]
    return "\nleft out: " + ", ".join(names)


def label_log_axis(ax, values, *, form="{:,.15g}".format):
    """Make the x axis logarithmic, with room around values and figures that are no powers.

    Parameters
    ----------
    ax : matplotlib Axes
    values : ndarray
        More than 0.
    form : callable, default="{:,.15g}".format
        Of a number to its label.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = float(np.min(values)), float(np.max(values))
    # a factor of 4 at least, so that figures at 1, 2 and 5 have two places or more
    room = max((high / low) ** 0.12, 2 / math.sqrt(high / low), 1.15)
    ax.set_xscale("log")
    ax.set_xlim(low / room, high * room)
    n_decades = math.log10(high / low * room**2)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if n_decades < 3 else (1,)))
    ax.xaxis.set_major_formatter(lambda value, _: form(value))
    ax.xaxis.set_minor_formatter(NullFormatter())


def stretch_accuracies(axis, percent):
    """Let equal steps on an axis divide the share of errors by equal factors.

    Most pipelines lie between 98 and 99.9 %, a few far below: on a linear axis those would push all
    others together.

    Parameters
    ----------
    axis : matplotlib Axis
        ``ax.xaxis`` or ``ax.yaxis``.
    percent : ndarray
        All that is to be shown on it, in 0..100.
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    name = axis.axis_name
    getattr(axis.axes, f"set_{name}scale")("function", functions=(_stretched, _unstretched))
    low, high = (_stretched(find(percent)) for find in (np.min, np.max))
    room = max(0.08 * (high - low), 0.04)
    low, high = low - room, high + room
    getattr(axis.axes, f"set_{name}lim")(*_unstretched(np.array([low, high])))
    places = [_stretched(tick) for tick in ACCURACY_TICKS]
    ticks, last = [], np.inf
    for tick, place in zip(ACCURACY_TICKS, places, strict=True):
        if low <= place <= high and abs(last - place) > CLOSEST_TICKS * (high - low):
            ticks.append(tick)
            last = place
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def _stretched(percent):
    return -np.log10(np.maximum(100 + LEAST_ERROR - np.asarray(percent), 1e-9))


def _unstretched(place):
    return 100 + LEAST_ERROR - 10 ** -np.asarray(place)


def label_points(ax, x, y, names, *, lines=()):
    """Write a name beside each point, where there is room; a thin line leads to those farther off.

    Places are found for the figure as large as it is now.

    Parameters
    ----------
    ax : matplotlib Axes
        With its limits and scales as they stay.
    x, y : ndarray of shape (n,)
    names : list of str
    lines : sequence of ((x, y), (x, y)), default=()
        Upright or lying lines that names have to keep off.

    Returns
    -------
    list of matplotlib Annotation
        In the order of the names.
    """
    options = {"textcoords": "offset points", "ha": "center", "va": "center", "fontsize": "small"}
    texts = [
        ax.annotate(name, point, (0, 0), arrowprops=LEADER, parse_math=False, **options)
        for *point, name in zip(x, y, names, strict=True)
    ]
    per_pixel = _lay_out(ax)

    def in_points(places):
        return ax.transData.transform(places) * per_pixel

    frame = ax.get_window_extent().get_points() * per_pixel
    anchors = in_points(np.column_stack([x, y]))
    taken = [np.array([anchor - MARKER, anchor + MARKER]) for anchor in anchors]
    taken += [np.sort(in_points(line), axis=0) + np.array([[-1], [1]]) for line in lines]
    for i in np.argsort(-anchors[:, 1], kind="stable"):
        size = texts[i].get_window_extent().size * per_pixel + 2 * MARGIN
        offset, is_beside = _free_place(anchors[i], size, taken, frame)
        middle = anchors[i] + offset
        taken.append(np.array([middle - size / 2, middle + size / 2]))
        texts[i].xyann = tuple(offset)
        texts[i].arrow_patch.set_visible(not is_beside)
    return texts


def _lay_out(ax):
    """Give axes their place and texts their size; points a pixel."""
    figure = ax.figure.canvas.figure  # of a subfigure, the whole
    figure.draw_without_rendering()
    return 72 / figure.dpi


def _free_place(anchor, size, taken, frame):
    """From an anchor to the middle of a name, and whether that is right beside it.

    The first place in the frame where nothing is yet, or the one where least is covered.
    """
    directions = np.array(DIRECTIONS)
    distances = np.array(DISTANCES)[:, None, None]
    offsets = (directions * (distances + size / 2)).reshape(-1, 2)  # (n_places, 2)
    boxes = np.stack([anchor + offsets - size / 2, anchor + offsets + size / 2], axis=1)
    hidden = size.prod() - _overlaps(boxes, frame[None])[:, 0]
    hidden += _overlaps(boxes, np.array(taken)).sum(axis=1)
    best = int(np.argmin(hidden.round(6)))
    return offsets[best], best < len(DIRECTIONS)


def _overlaps(boxes, others):
    """Areas (n, m) that boxes (n, 2, 2), ((left, bottom), (right, top)), share with others."""
    first = np.maximum(boxes[:, None, 0], others[:, 0])
    last = np.minimum(boxes[:, None, 1], others[:, 1])
    return (last - first).clip(0).prod(axis=-1)
