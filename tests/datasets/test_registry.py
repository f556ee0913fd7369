"""The registry says all that it must, also to an installed package."""

import configparser
import re
from pathlib import Path

import pytest

from visionpipe.datasets import standard
from visionpipe.datasets.registry import read_registry, registry_path, squeezed

ENTRIES = read_registry()
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_entries_are_complete(entry):
    for said in (entry.title, entry.description, entry.source, entry.licence, entry.citation):
        assert said and "\n" not in said
    assert len(entry.classes) == len(set(entry.classes)) > 1
    assert entry.n_images > 0 and set(entry.parts) in ({"train", "test"}, set())
    assert entry.files
    for file in entry.files:
        assert re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", file.checksum)
        assert file.size > 0 and file.addresses
        for address in file.addresses:
            assert re.fullmatch(r"https?://[^ ]+/" + re.escape(file.name), address)


@pytest.mark.parametrize(
    "name, n_classes, parts, n_images",
    [
        ("mnist", 10, {"train": 60_000, "test": 10_000}, 70_000),
        ("fashion-mnist", 10, {"train": 60_000, "test": 10_000}, 70_000),
        ("cifar-10", 10, {"train": 50_000, "test": 10_000}, 60_000),
        ("cifar-100", 100, {"train": 50_000, "test": 10_000}, 60_000),
        ("caltech-101", 101, {}, 8_677),
    ],
)
def test_numbers_of_images_and_classes(name, n_classes, parts, n_images):
    entry = ENTRIES[name]
    assert (len(entry.classes), entry.parts, entry.n_images) == (n_classes, parts, n_images)
    assert len(entry.coarse_classes) == (20 if name == "cifar-100" else 0)


def test_every_function_has_its_entry():
    functions = {name.removeprefix("fetch_") for name in standard.__all__}
    assert {squeezed(name) for name in functions} == {squeezed(name) for name in ENTRIES}


def test_build_takes_the_registry_and_nothing_else_of_its_folder():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    package = "visionpipe.datasets.sources"
    assert setup["options"]["package_dir"].split() == [package, "=", "data"]
    assert package in setup["options"]["packages"].split()
    assert setup["options.package_data"][package] == registry_path().name
    assert registry_path() == ROOT / "data" / "registry.toml"


def test_installed_registry_goes_first(tmp_path, monkeypatch):
    from visionpipe.datasets import registry

    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "registry.toml").touch()
    monkeypatch.setattr(registry.resources, "files", lambda package: tmp_path)
    assert registry_path() == tmp_path / "sources" / "registry.toml"


def test_readme_names_every_set_and_licence():
    page = (ROOT / "data" / "README.md").read_text()
    for entry in ENTRIES.values():
        (row,) = [line for line in page.splitlines() if f"`{entry.name}` | `fetch_" in line]
        assert entry.licence.split(";")[0] in row and entry.source in row
