"""Pictures of what the features see, as scikit-learn Display classes."""
