"""Weights and features from networks that were trained elsewhere."""
