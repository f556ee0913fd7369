"""Parameters such as ``module__hidden``, taken as they come and handed on."""

# What skorch's net takes them for: module__hidden goes to the module's constructor as hidden. Only
# lr_schedule__ is our own.
PREFIXES = (
    "callbacks__",
    "criterion__",
    "iterator_train__",
    "iterator_valid__",
    "lr_schedule__",
    "module__",
    "optimizer__",
)


class PrefixedParams:
    """Mixin for scikit-learn estimators that take parameters of these prefixes as keywords.

    scikit-learn reads parameters off the constructor's signature, where these cannot stand. They
    live in one private dict, set by `_assign_prefixed` in the constructor.
    """

    def get_params(self, deep=True):
        """Parameters by name, those with a prefix included.

        Parameters
        ----------
        deep : bool
            Also those of estimators among the values.

        Returns
        -------
        dict
        """
        return {**super().get_params(deep=deep), **self._prefixed}

    def set_params(self, **params):
        """Set parameters by name, those with a prefix included, whether set before or not.

        Parameters
        ----------
        **params
            See the class.

        Returns
        -------
        self
        """
        prefixed = {name: v for name, v in params.items() if name.startswith(PREFIXES)}
        super().set_params(**{name: v for name, v in params.items() if name not in prefixed})
        self._prefixed = {**self._prefixed, **prefixed}
        return self

    def _prefixed_by(self, prefix):
        """Options of a prefix, such as "module", without it."""
        start = f"{prefix}__"
        named = self._prefixed.items()
        return {n.removeprefix(start): value for n, value in named if n.startswith(start)}

    def _prefixed_for_skorch(self):
        """All but those that are our own."""
        named = self._prefixed.items()
        return {n: value for n, value in named if not n.startswith("lr_schedule__")}

    def _assign_prefixed(self, params):
        """For the constructor: assign, and refuse other names as Python would."""
        for name in params:
            if not name.startswith(PREFIXES):
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword argument {name!r}"
                )
        self._prefixed = params
