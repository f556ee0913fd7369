"""Epochs as tasks of a fit, for scikit-learn's callbacks."""


class EpochTasks:
    """Tell an estimator's callbacks of each epoch as it begins and ends.

    Parameters
    ----------
    estimator : estimator with callbacks
    fit_task : sklearn.callback.CallbackContext
        Of its `fit`.
    attributes : callable
        Of the net; returns what a copy of the estimator needs to predict as the net would now. It
        is called only for callbacks that want such a copy.
    **data
        ``X`` and ``y``, handed to the callbacks.
    """

    def __init__(self, estimator, fit_task, attributes, **data):
        self._fit_task, self._attributes = fit_task, attributes
        self._told = {"estimator": estimator, **data}
        self._epoch = None

    def begin(self, net):
        """Begin one more epoch."""
        self._epoch = self._fit_task.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._as_of_now(net))

    def end(self, net):
        """End the epoch, if one has begun.

        Returns
        -------
        bool
            Whether a callback wants no further one.
        """
        epoch, self._epoch = self._epoch, None
        return epoch is not None and epoch.call_on_fit_task_end(**self._as_of_now(net))

    def _as_of_now(self, net):
        return {**self._told, "reconstruction_attributes": lambda: self._attributes(net)}


class NoTasks:
    """In place of `EpochTasks`, for a training that nobody wants to hear of."""

    def begin(self, net):
        """Do nothing."""

    def end(self, net):
        """Want the training to go on."""
        return False
