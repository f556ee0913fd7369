"""Handcrafted features: images to vectors, one estimator a file."""
