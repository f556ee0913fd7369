"""The work folder of a run: what it needs to go on after its last finished stage."""

import json
import shutil
import time

import joblib

from benchmarks.accuracy.results import CannotRun
from visionpipe.files import FileLock, appearing_whole, write_whole

__all__ = ["Progress"]


class Progress:
    """How far a run has come, on disk: fitted steps, the training data as the last one left them.

    Entered as a context it holds the folder for itself. ``progress.json`` is written last, so that
    what it names is there. A folder of other circumstances is begun anew, saying so.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    circumstances : dict
        All that decides what is computed and how long it takes; of text and numbers.

    Attributes
    ----------
    state : dict
        "draws", the results of those that are finished; "stages", seconds of the finished stages of
        the one at work; "resumed"; and "peak_memory_mb".
    """

    def __init__(self, folder, circumstances):
        self.folder, self.circumstances = folder, circumstances
        self.checkpoints = folder / "checkpoints"
        self._lock = FileLock(folder / "lock")

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._lock.acquire():
            raise CannotRun(f"another process is at work in {self.folder}; wait for it to end")
        self.state = self._state_to_go_on_from() or {
            "circumstances": self.circumstances,
            "draws": [],
            "stages": {},
            "begun": time.time(),
            "seconds_of_epochs": 0.0,
            "resumed": 0,
            "peak_memory_mb": 0,
        }
        return self

    def __exit__(self, *error):
        self._lock.release()

    def _state_to_go_on_from(self):
        path = self.folder / "progress.json"
        if not path.exists():
            return None
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["circumstances"] != self.circumstances:
            there = state["circumstances"]
            differ = [k for k, v in self.circumstances.items() if there.get(k) != v]
            print(f"begun anew: {self.folder} is of other {', '.join(differ)}", flush=True)
            self._remove_all_of_a_draw()
            return None
        state["seconds_of_epochs"] += self._seconds_in_checkpoints(state["begun"])
        if state["draws"] or state["stages"] or state["seconds_of_epochs"]:
            state["resumed"] += 1
            print(f"goes on with {self.folder}, after {_summary(state)}", flush=True)
        return state

    def _seconds_in_checkpoints(self, begun):
        """Seconds from the beginning of a stage to its last checkpoint: of work that is kept."""
        written = [path.stat().st_mtime for path in self.checkpoints.rglob("*.checkpoint")]
        return max([0.0, *(time - begun for time in written)])

    def load(self):
        """Return what the finished stages of the draw at work have left.

        Returns
        -------
        steps : list of estimator
            The fitted ones.
        X : object
            The training data as the last of them has left them; None without any, or after all.
        """
        n_fitted = len(self.state["stages"])
        steps = [joblib.load(self._step(i)) for i in range(n_fitted)]
        data = self._data(n_fitted)
        return steps, joblib.load(data) if data.exists() else None

    def begin_stage(self):
        """Note the time, from which the seconds of epochs are counted."""
        self.state["begun"] = time.time()
        self._write()

    def end_stage(self, name, seconds, step, X, peak_memory_mb):
        """Keep what a stage has made.

        Parameters
        ----------
        name : str
        seconds : float
            That it took in this process.
        step : estimator
        X : object
            The training data for the next step; None if there is none.
        peak_memory_mb : int

        Returns
        -------
        float
            Seconds in all, those of epochs before an interruption included.
        """
        seconds += self.state["seconds_of_epochs"]
        n_fitted = len(self.state["stages"]) + 1
        _dump(step, self._step(n_fitted - 1))
        if X is not None:
            _dump(X, self._data(n_fitted))
        self.state["stages"][name] = seconds
        # its checkpoints are older than this, and do not count for the next stage
        self.state |= {"begun": time.time(), "seconds_of_epochs": 0.0}
        self._note_memory(peak_memory_mb)
        self._write()
        self._data(n_fitted - 1).unlink(missing_ok=True)
        return seconds

    def end_draw(self, result, peak_memory_mb):
        """Keep the result of a draw, of text and numbers, in place of its stages.

        Parameters
        ----------
        result : dict
        peak_memory_mb : int
        """
        self.state["draws"].append(result)
        self.state["stages"] = {}
        self._note_memory(peak_memory_mb)
        self._write()
        self._remove_all_of_a_draw()

    def remove(self):
        """Remove the folder: the result is kept elsewhere."""
        shutil.rmtree(self.folder)

    def _note_memory(self, peak_memory_mb):
        self.state["peak_memory_mb"] = max(self.state["peak_memory_mb"], peak_memory_mb)

    def _write(self):
        write_whole(self.folder / "progress.json", json.dumps(self.state))

    def _remove_all_of_a_draw(self):
        for path in self.folder.glob("*.joblib*"):
            path.unlink()
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _step(self, number):
        return self.folder / f"step-{number}.joblib"

    def _data(self, number):
        return self.folder / f"data-{number}.joblib"


def _summary(state):
    """What is finished, and in how many seconds."""
    seconds = [*state["stages"].values(), state["seconds_of_epochs"]]
    seconds += [value for draw in state["draws"] for value in draw["stages"].values()]
    done = [f"{len(state['draws'])} draws"] if state["draws"] else []
    done += list(state["stages"]) + (["some epochs"] if state["seconds_of_epochs"] else [])
    return f"{', '.join(done)} ({sum(seconds):.1f} s)"


def _dump(value, path):
    with appearing_whole(path) as draft:
        joblib.dump(value, draft)
