"""Files that are not what their names promise, odd names, and what is no readable file."""

import os
from functools import partial

from odd_files.case import NO_IMAGE, RGB, gives, ignored, refused, smooth
from odd_files.encoders import png_of, saved

FORBIDDEN = "unreadable/forbidden.png"  # to everyone but root


def liars():
    jpeg = saved(smooth(), "JPEG", quality=95, subsampling=0)
    yield gives("liars/png.jpg", png_of(RGB, 8, 2), RGB)
    yield gives("liars/png.tga", png_of(RGB, 8, 2), RGB)
    yield gives("liars/jpeg.png", jpeg, smooth(), 1.5)
    yield gives("liars/webp.jpg", saved(RGB, "WEBP", lossless=True), RGB)
    tail = b" and nothing else\n" * 50
    for name, head in {
        "nothing.jpg": b"",
        "nothing.tga": b"",
        "nothing.png": b"",
        "text.jpg": b"words",
        "zip.jpg": b"PK\x03\x04",
        "pdf.jpg": b"%PDF-1.7\n",
        "mp4.jpg": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        "svg.jpg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "html.png": b"<!DOCTYPE html><title>404 Not Found</title>",
        "zeros.jpg": bytes(5000),
    }.items():
        yield refused(f"liars/{name}", head and head + tail, NO_IMAGE + "|empty")
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n"
    yield refused("liars/postscript.jpg", postscript, NO_IMAGE)
    unknown = {"ICO": "RGB", "SGI": "RGB", "MSP": "1"}  # to this package, not to Pillow
    for kind, mode in unknown.items():
        yield refused(f"liars/{kind}.png", saved(RGB, kind, mode=mode), NO_IMAGE)


def odd():
    content = png_of(RGB, 8, 2)
    names = ("a b", 'quo"te', "apo's", "été 猫", "new\nline", "-rf", "$HOME `ls`", "%s {0}")
    for name in (*names, "\udcff\udcfe", "l" * 251):  # bytes that are no UTF-8; 255 with .png
        yield gives(f"names/{name}.png", content, RGB)
    yield gives("names/LOUD.PNG", content, RGB)
    yield gives("names/link.png", partial(os.symlink, "LOUD.PNG"), RGB)


def passed_over():
    content = png_of(RGB, 8, 2)
    yield ignored("names/.hidden.png", content)
    yield ignored("names/Thumbs.db")
    yield ignored("names/notes.txt")
    yield ignored("names/no suffix", content)


def unreadable():
    yield refused(FORBIDDEN, forbidden, "(?i)permission")
    yield refused("unreadable/folder.jpg", os.mkdir, "regular file|folder|directory")
    yield refused("unreadable/pipe.jpg", pipe, "regular file")
    yield refused("unreadable/device.jpg", partial(os.symlink, "/dev/zero"), "regular file")
    yield refused("unreadable/lost link.jpg", partial(os.symlink, "gone.jpg"), "no such file")
    itself = partial(os.symlink, "link to itself.jpg")
    yield refused("unreadable/link to itself.jpg", itself, "(?i)link")
    yield refused("unreadable/sparse.jpg", sparse, NO_IMAGE)


def forbidden(path):
    if os.name != "posix":
        raise OSError("permissions are of another kind here")
    with open(path, "wb") as file:
        file.write(png_of(RGB, 8, 2))
    os.chmod(path, 0)


def pipe(path):
    if not hasattr(os, "mkfifo"):
        raise OSError("there are no pipes in folders here")
    os.mkfifo(path)


def sparse(path):
    with open(path, "wb") as file:
        file.truncate(1 << 33)
