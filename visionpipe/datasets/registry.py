"""What the standard data sets are and where their files are: reads ``registry.toml``."""

import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

__all__ = ["Entry", "RemoteFile", "read_registry", "registry_path", "squeezed"]


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be fetched.

    Attributes
    ----------
    name : str
    addresses : tuple of str
        In the order in which to try them.
    checksum : str
        Algorithm and value, such as "md5:f68b3c...".
    size : int or None
        In bytes.
    """

    name: str
    addresses: tuple
    checksum: str
    size: int | None = None


@dataclass(frozen=True)
class Entry:
    """What the registry says of one data set.

    Attributes
    ----------
    name, title, description, source, licence, citation : str
    classes, coarse_classes : tuple of str
        `coarse_classes` are groups of the classes; empty where there are none.
    files : tuple of RemoteFile
    parts : dict of str to int
        The official split: how many images "train" and "test" have; empty where there is none.
    n_images : int
    image_shape : tuple of int
        Of images that come in one array.
    first_labels : dict of str to list of int
        With what the labels of a part begin, where files of several sets have the same names.
    folders, archives : tuple of str
        What folders and archives on disk are called, archives without a suffix.
    batches : dict of str to dict of str to int
        Of each part, the files by name, and how many images they have.
    """

    name: str
    title: str
    description: str
    source: str
    licence: str
    citation: str
    classes: tuple
    files: tuple
    parts: dict = field(default_factory=dict)
    n_images: int = 0
    image_shape: tuple = ()
    first_labels: dict = field(default_factory=dict)
    coarse_classes: tuple = ()
    folders: tuple = ()
    archives: tuple = ()
    batches: dict = field(default_factory=dict)


def registry_path():
    """Return where the registry lies.

    Returns
    -------
    path
        In an installed package ``sources/registry.toml`` beside this file, where the build puts it
        (setup.cfg); in a checkout ``data/registry.toml``.

    Examples
    --------
    >>> from visionpipe.datasets.registry import registry_path
    >>> registry_path().name
    'registry.toml'
    """
    installed = resources.files("visionpipe.datasets") / "sources" / "registry.toml"
    if installed.is_file():
        return installed
    return Path(__file__).parents[2] / "data" / "registry.toml"


def read_registry():
    """Read the registry.

    Returns
    -------
    dict of str to Entry

    Examples
    --------
    >>> from visionpipe.datasets.registry import read_registry
    >>> entry = read_registry()["fashion-mnist"]
    >>> entry.licence, entry.parts, entry.files[0].name
    ('MIT', {'train': 60000, 'test': 10000}, 'train-images-idx3-ubyte.gz')
    """
    content = tomllib.loads(registry_path().read_text(encoding="utf-8"))
    return {name: _entry(name, table) for name, table in content.items()}


def _entry(name, table):
    bases = table.pop("addresses")
    files = tuple(_file(file, bases) for file in table.pop("files"))
    batches = table.get("batches", {})
    parts = table.pop("parts", {part: sum(files.values()) for part, files in batches.items()})
    n_images = table.pop("n_images", sum(parts.values()))
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Entry(name=name, files=files, parts=parts, n_images=n_images, **(table | lists))


def _file(table, bases):
    (algorithm,) = {"md5", "sha256"} & table.keys()
    return RemoteFile(
        name=table["name"],
        addresses=tuple(base + table["name"] for base in bases),
        checksum=f"{algorithm}:{table[algorithm]}",
        size=table.get("size"),
    )


def squeezed(name):
    """Return a name without what people write differently: case, hyphens and underscores.

    Parameters
    ----------
    name : str

    Returns
    -------
    str

    Examples
    --------
    >>> from visionpipe.datasets.registry import squeezed
    >>> squeezed("Fashion_MNIST") == squeezed("fashion-mnist") == squeezed("FashionMNIST")
    True
    """
    return name.lower().replace("-", "").replace("_", "")
