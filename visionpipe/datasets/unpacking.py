"""Class folders out of an archive: all of them or none."""

import os
import shutil
import tarfile
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import PurePosixPath

from visionpipe.datasets.damage import read_to_end, telling_damage
from visionpipe.files import DRAFT_SUFFIX

__all__ = ["unpack_class_folders"]


def unpack_class_folders(archive, folder, *, classes):
    """Unpack the folder that holds the classes.

    Parameters
    ----------
    archive : pathlib.Path
        A tar archive, compressed or not, or a zip archive that holds such a one.
    folder : pathlib.Path
        What it is called in the archive, and where it shall be: it appears when it is whole.
        Only one process at a time may do this.
    classes : sequence of str
        Folders that must be there.

    Raises
    ------
    ValueError
        If the archive is damaged, would write outside of the folder, or lacks a class.
    OSError
        If the folder cannot be written.
    """
    draft = folder.with_name(f"{folder.name}{DRAFT_SUFFIX}")
    shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
    try:
        with telling_damage(archive):
            with _open_tar(archive, folder.name) as members:
                members.extractall(draft, _inside(members, folder.name), filter="data")
                read_to_end(members)
            missing = [name for name in classes if not (draft / folder.name / name).is_dir()]
            if missing:
                raise ValueError(f"it lacks {len(missing)} classes, such as {missing[0]}")
        os.rename(draft / folder.name, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _open_tar(archive, name):
    """The tar archive, which may lie in a zip archive."""
    with ExitStack() as closing:
        file = closing.enter_context(open(archive, "rb"))
        if archive.suffix == ".zip":
            packed = closing.enter_context(zipfile.ZipFile(file))
            inner = [n for n in packed.namelist() if PurePosixPath(n).name == f"{name}.tar.gz"]
            if not inner:
                raise ValueError(f"it lacks {name}.tar.gz")
            file = closing.enter_context(packed.open(inner[0]))
        yield closing.enter_context(tarfile.open(fileobj=file))


def _inside(members, name):
    return (member for member in members if PurePosixPath(member.name).parts[:1] == (name,))
