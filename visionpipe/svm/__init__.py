"""Support vector machines, of hinges or of squares, for long vectors and for many of them."""
