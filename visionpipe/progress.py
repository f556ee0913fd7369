"""Progress of a fit, told to scikit-learn's callbacks."""

from contextlib import contextmanager

from sklearn.callback import CallbackSupportMixin

__all__ = ["ReportsProgress"]


class ReportsProgress(CallbackSupportMixin):
    """Mixin of the estimators that tell `sklearn.callback` what they are doing.

    Their ``fit`` is decorated with `sklearn.callback.with_callbacks` and does its work inside of
    `_fit_task`; parts of it that take long are each inside of `_stage`.
    """

    @contextmanager
    def _fit_task(self, X, y=None, n_stages=0):
        """Begin and end the task of a fit, which has at most so many stages."""
        task = self._init_callback_context(max_subtasks=n_stages)
        task.call_on_fit_task_begin(estimator=self, X=X, y=y)
        yield
        task.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})

    @contextmanager
    def _stage(self, name):
        """Begin and end a part of the task that is running."""
        stage = self._callback_fit_ctx.subcontext(task_name=name)
        stage.call_on_fit_task_begin(estimator=self)
        yield
        stage.call_on_fit_task_end(estimator=self)
