"""The table of kept results in README.md, between two comments."""

import textwrap
from collections import Counter
from pathlib import Path

from benchmarks.accuracy.results import CannotRun, load
from benchmarks.accuracy.rows import ROWS, recipe
from visionpipe.files import write_whole

__all__ = ["BEGIN", "END", "README", "load_all", "render", "write"]

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- accuracy: begin -->", "<!-- accuracy: end -->"
WIDTH = 120
HEAD = [
    "| row | what | `pipelines.` | accuracy % | to reach | min:s | GB | |",
    "|---|---|---|---|---|---|---|---|",
]


def write(out, readme=None):
    """Write the table of what is kept into a README, in place of the one that is there.

    Parameters
    ----------
    out : Path
        The folder of the results.
    readme : Path

    Returns
    -------
    Path
        Of the README.

    Raises
    ------
    CannotRun
        If a result does not belong into the table, or the README lacks the two comments.
    """
    readme = readme or README
    text = readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise CannotRun(f"{readme} has no place for the table; put {BEGIN} and {END} there")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    write_whole(readme, f"{before}{BEGIN}\n{render(load_all(out))}\n{END}{after}")
    return readme


def load_all(out):
    """Return what is kept, of rows as they are today.

    Parameters
    ----------
    out : Path
        The folder of the results.

    Returns
    -------
    dict of str to dict
        In the order of `ROWS`; rows without a result are left out.

    Raises
    ------
    CannotRun
        If a file is of no row, or of a row that had another recipe or goal.
    """
    if strangers := sorted({path.stem for path in Path(out).glob("*.json")} - {*ROWS}):
        raise CannotRun(f"{out} holds results of no row: {', '.join(strangers)}; remove them")
    records = {name: record for name in ROWS if (record := load(name, out))}
    for name, record in records.items():
        row = ROWS[name]
        wanted = {"pipeline": recipe(row), "goal": row.goal, "stretch": row.stretch}
        for key, value in wanted.items():
            if record[key] != value:
                raise CannotRun(
                    f"the {key} of {name} is {value} today, but {record[key]} in {out}; run the "
                    "row again, in an empty folder"
                )
    return records


def render(records):
    """Return the table and what has to be said of it.

    Parameters
    ----------
    records : dict of str to dict
        By name of the row.

    Returns
    -------
    str
        Markdown.
    """
    lines = [*HEAD, *(_line(name, row, records.get(name)) for name, row in ROWS.items())]
    paragraphs = ["\n".join(lines), *_circumstances(records), *_recompressed(records)]
    if remarks := [f"- `{name}`: {row.remark}" for name, row in ROWS.items() if row.remark]:
        paragraphs.append("\n".join(_wrapped(remark, indent="  ") for remark in remarks))
    return "\n\n".join(paragraphs)


# ------------------------------------------------------------------------------------- the rows


def _line(name, row, record):
    settings = [f"{key.rpartition('__')[2]}={value}" for key, value in row.settings.items()]
    pipeline = ", ".join(f"`{word}`" for word in dict.fromkeys([row.pipeline, *settings]))
    goals = " / ".join(f"{figure:g}" for figure in (row.goal, row.stretch) if figure is not None)
    if record is None:
        missing = "not measured: needs a GPU" if row.needs_gpu else "not measured"
        measured = [missing, goals, "", "", ""]
    else:
        run = record["runs"][0]
        spread = f" ± {run['deviation']:.2f}" if "deviation" in run else ""
        measured = [
            f"{run['accuracy']:.2f}{spread}",
            goals,
            "{}:{:02}".format(*divmod(round(run["seconds"]), 60)),
            f"{run['peak_memory_mb'] / 1000:.2f}",
            "; ".join(filter(None, [_reached(row, run["accuracy"]), *_agreement(record["runs"])])),
        ]
    return f"| {' | '.join([f'`{name}`', row.title, pipeline, *measured])} |"


def _reached(row, accuracy):
    if row.goal is None:
        return ""
    if accuracy < row.goal:
        return f"missed by {row.goal - accuracy:.2f}"
    return "both reached" if row.stretch is not None and accuracy >= row.stretch else "reached"


def _agreement(runs):
    """How far several runs agree: those of one seed, and those of several."""
    for seed, n_runs in Counter(run["seed"] for run in runs).items():
        if n_runs > 1:
            same = [run for run in runs if run["seed"] == seed]
            repeats = len({run["predictions_sha256"] for run in same}) == 1
            told = "same predictions" if repeats else f"{_range(same)} %"
            yield f"{n_runs} runs of seed {seed}, {told}"
    n_seeds = len({run["seed"] for run in runs})
    if n_seeds > 1:
        yield f"{n_seeds} seeds, {_range(runs)} %"


def _range(runs):
    accuracies = [run["accuracy"] for run in runs]
    return f"{min(accuracies):.2f} to {max(accuracies):.2f}"


# --------------------------------------------------------------------------- what is said below


def _circumstances(records):
    """One paragraph for all rows, or a list, if they were not measured on the same machine."""
    groups = {}  # what is said of the machine -> [(row, date), ...]
    for name, record in records.items():
        run, made_with = record["runs"][0], record["versions"]
        packages = ", ".join(f"{p} {made_with[p]}" for p in ("scikit-learn", "torch", "numpy"))
        machine = f"{run['hardware']}, {run['threads']} threads; Python {made_with['python']}, "
        groups.setdefault(machine + packages, []).append((name, run["date"]))
    if len(groups) == 1:
        ((machine, rows),) = groups.items()
        return [_wrapped(f"Measured on {machine}; {_dates(rows)}.")]
    return [
        _wrapped(f"{', '.join(f'`{name}`' for name, _ in rows)}: on {machine}; {_dates(rows)}.")
        for machine, rows in groups.items()
    ]


def _dates(rows):
    first, last = min(date for _, date in rows), max(date for _, date in rows)
    return first if first == last else f"{first} to {last}"


def _recompressed(records):
    """What has to be said beside the figures of a copy of a data set that is not exact."""
    told = {
        f"{record['n_recompressed']} of the {record['n_train'] + record['n_test']:,} images of "
        f"this copy of {record['data']} come from a JPEG version, all others are exact."
        for record in records.values()
        if record["n_recompressed"]
    }
    return map(_wrapped, sorted(told))


def _wrapped(text, indent=""):
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
