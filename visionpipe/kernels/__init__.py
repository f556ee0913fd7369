"""Pure functions on torch tensors, a batch of images in and a float32 tensor out, on any device."""
