"""The floors of the house: a module may import only from those above it."""

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From top to bottom; an arrow points only upward. A package is one floor, its files may not import
# each other unless SAME_FLOOR says so.
FLOORS = [
    "visionpipe.environment",
    "visionpipe.files",
    "visionpipe.threads",
    "visionpipe.decoding",
    "visionpipe.images",
    "visionpipe.descriptors",
    "visionpipe.kernels",
    "visionpipe.identity",
    "visionpipe.store",
    "visionpipe.once",
    "visionpipe.progress",
    "visionpipe.metrics",
    "visionpipe.base",
    "visionpipe.steps",
    "visionpipe.duplicates",
    "visionpipe.features",
    "visionpipe.local",
    "visionpipe.encoding",
    "visionpipe.svm",
    "visionpipe.networks",
    "visionpipe.deep",
    "visionpipe.inspection",
    "visionpipe.displays",
    "visionpipe.persistence",
    "visionpipe.probabilities",
    "visionpipe.datasets",
    "visionpipe.report",
    "visionpipe.comparison",
    "visionpipe.leaks",
    "visionpipe.search",
    "visionpipe.console",
    "visionpipe.data_options",
    "pipelines",
    "visionpipe.commands",
    "visionpipe.cli",
    "visionpipe.__main__",
]
SAME_FLOOR = {
    "visionpipe.comparison",
    "visionpipe.datasets",
    "visionpipe.kernels",
    "visionpipe.local",
    "visionpipe.encoding",
    "visionpipe.displays",
    "visionpipe.duplicates",
    "visionpipe.networks",
    "visionpipe.deep",
    "visionpipe.inspection",
    "visionpipe.leaks",
    "visionpipe.report",
    "visionpipe.search",
    "visionpipe.store",
    "visionpipe.commands",
    "pipelines",
}

# What these floors may import from outside: no scikit-learn, no files, no options.
OUTSIDE = {
    "visionpipe.kernels": {
        *("functools", "importlib", "itertools", "math", "numbers", "pkgutil"),
        *("numpy", "torch"),
    },
    "visionpipe.networks": {"collections", "contextlib", "functools", "importlib", "math", "torch"},
}

FILES = sorted([*ROOT.glob("visionpipe/**/*.py"), *ROOT.glob("pipelines/**/*.py")])


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def public_names():
    """The public names of the package and the modules they come from, out of its stub."""
    tree = ast.parse((ROOT / "visionpipe" / "__init__.pyi").read_text())
    return {
        alias.name: f"visionpipe.{node.module or alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def imports(path):
    """Modules that a file imports, anywhere in it."""
    names = public_names()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            for alias in node.names:
                if node.module == "visionpipe" and alias.name in names:
                    yield names[alias.name]
                else:
                    yield f"{node.module}.{alias.name}"


def floor(name):
    found = [f for f in FLOORS if name == f or name.startswith(f + ".")]
    return found[0] if found else None


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_arrows_point_upward(path):
    name = module_name(path)
    if name == "visionpipe":
        return
    here = floor(name)
    assert here is not None, f"{name} stands on no floor: give it one in FLOORS"
    for imported in imports(path):
        there = floor(imported)
        if there == here:
            assert here in SAME_FLOOR or imported.startswith(name), f"{name} imports {imported}"
        elif there is not None:
            assert FLOORS.index(there) < FLOORS.index(here), f"{name} imports {imported}"
        elif here in OUTSIDE:
            assert imported.split(".")[0] in OUTSIDE[here], f"{name} imports {imported}"


def test_every_package_is_built():
    """By a list: `visionpipe.datasets.sources` is a folder from elsewhere; no search finds it."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packages = {module_name(path) for path in FILES if path.name == "__init__.py"}
    listed = setup["options"]["packages"].split()
    assert sorted(listed) == listed == sorted(packages | {"visionpipe.datasets.sources"})


def test_bgr_and_cv2_stay_where_they_are_called():
    callers = {module_name(path) for path in FILES if "cv2" in {*imports(path)}}
    assert callers == {"visionpipe.local.keypoints"}


def test_importing_the_package_is_light():
    code = (
        "import sys, visionpipe; "
        "heavy = {'torch', 'cv2', 'sklearn', 'numpy', 'PIL', 'skorch'} & set(sys.modules); "
        "assert not heavy, heavy; assert 'HOG' in dir(visionpipe)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_exists():
    import visionpipe

    assert set(visionpipe.__all__) == set(public_names())
    for name in visionpipe.__all__:
        assert getattr(visionpipe, name) is not None
    with pytest.raises(AttributeError):
        visionpipe.nothing  # noqa: B018
