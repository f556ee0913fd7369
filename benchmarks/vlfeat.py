"""VLFeat's dense SIFT through ctypes, where its library is installed (Debian: libvlfeat-dev)."""

import ctypes

import numpy as np

N_BINS = 4


class _Geometry(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int) for name in ("numBinT", "numBinX", "numBinY", "binSizeX", "binSizeY")
    ]


class _KeyPoint(ctypes.Structure):
    _fields_ = [(name, ctypes.c_double) for name in ("x", "y", "s", "norm")]


class _Filter(ctypes.Structure):  # VlDsiftFilter of VLFeat 0.9.21
    _fields_ = [
        *((name, ctypes.c_int) for name in ("imWidth", "imHeight", "stepX", "stepY")),
        *((name, ctypes.c_int) for name in ("minX", "minY", "maxX", "maxY")),
        ("geom", _Geometry),
        ("useFlatWindow", ctypes.c_int),
        ("windowSize", ctypes.c_double),
        ("numFrames", ctypes.c_int),
        ("descrSize", ctypes.c_int),
        ("frames", ctypes.POINTER(_KeyPoint)),
        ("descrs", ctypes.POINTER(ctypes.c_float)),
    ]


def library():
    """The library, or None where it is not installed."""
    try:
        vl = ctypes.CDLL("libvl.so")
    except OSError:
        return None
    vl.vl_dsift_new_basic.restype = ctypes.POINTER(_Filter)
    vl.vl_dsift_new_basic.argtypes = [ctypes.c_int] * 4
    vl.vl_dsift_process.argtypes = [ctypes.POINTER(_Filter), ctypes.c_void_p]
    vl.vl_dsift_delete.argtypes = [ctypes.POINTER(_Filter)]
    return vl


class DSift:
    """The fast (flat window) filter for grey float32 images of one size."""

    def __init__(self, vl, size, step, bin_size):
        self.vl = vl
        self.filter = vl.vl_dsift_new_basic(size[1], size[0], step, bin_size)
        self.filter.contents.useFlatWindow = 1

    def process(self, image):
        self.image = np.ascontiguousarray(image, dtype=np.float32)
        self.vl.vl_dsift_process(self.filter, self.image.ctypes.data)

    def descriptors(self, image):
        """Descriptors (n, 128), centres (n, 2) as x and y, and contrasts (n,) of an image."""
        self.process(image)
        found = self.filter.contents
        n = found.numFrames
        values = np.ctypeslib.as_array(found.descrs, (n, found.descrSize)).copy()
        frames = [found.frames[i] for i in range(n)]
        centres = np.array([(frame.x, frame.y) for frame in frames])
        return values, centres, np.array([frame.norm for frame in frames])

    def __del__(self):
        self.vl.vl_dsift_delete(self.filter)
