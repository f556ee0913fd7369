"""What models, results and benchmarks were made with: versions and hardware."""

import os
import platform
import re
from importlib import import_module
from pathlib import Path

__all__ = ["hardware", "peak_memory", "versions"]

_PACKAGES = {
    "visionpipe": "visionpipe",
    "torch": "torch",
    "scikit-learn": "sklearn",
    "scikit-image": "skimage",
    "numpy": "numpy",
    "cv2": "cv2",
    "skorch": "skorch",
}


def versions():
    """Return the versions of Python and of the packages that decide what a model computes.

    Returns
    -------
    dict of str to str
    """
    found = {"python": platform.python_version()}
    for name, module in _PACKAGES.items():
        found[name] = str(import_module(module).__version__)
    return found


def hardware():
    """Describe the machine in one line.

    Returns
    -------
    str
        Processor, number of cores, and GPU if there is one.
    """
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{_processor()}, {os.cpu_count()} cores{gpu}"


def peak_memory():
    """Return the most resident memory that this process has had.

    Linux counts for it, and lets the count be reset. Elsewhere `resource` tells it, which on Linux
    would count the program that started this one where that was larger.

    Returns
    -------
    int
        In bytes.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text())[1]) * 1024
    import resource  # which Windows lacks

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def _processor():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
