"""Encoders: sets of descriptors, or patches of images, in; one vector for each image out."""
