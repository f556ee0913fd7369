"""Handcrafted and learned image features under one scikit-learn API.

Images go in, vectors come out, and a scikit-learn classifier does not know whether a person or a
network designed them. Names are loaded when they are first used, so that importing the package
loads neither torch nor OpenCV.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
