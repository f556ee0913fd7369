"""Local descriptors: images in, sets of descriptors out."""
