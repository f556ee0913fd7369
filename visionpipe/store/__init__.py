"""Feature stores: what was computed for an image once, for whoever needs it again."""

from visionpipe.store.feature_store import FeatureStore, as_store, use_store

__all__ = ["FeatureStore", "as_store", "use_store"]
