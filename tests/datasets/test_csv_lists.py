"""Lists of images in CSV files, and what they may get wrong."""

import os

import numpy as np
import pytest
from PIL import Image

from visionpipe import load_images
from visionpipe.datasets.folders import find_images


def write(folder, content, name="list.csv"):
    content = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    "content",
    [
        "path,label\n2.png,dog\nin/1.png,cat\n",
        "2.png,dog\nin/1.png,cat\n",
        "\ufeffpath,label\r\n2.png,dog\r\nin/1.png,cat",
        "\ufeff2.png,dog\r\n\r\nin/1.png,cat\r\n\r\n",
        'Height,LABEL, Path \n3,dog,2.png\n,"cat",in/1.png\n',
        '"path","label"\n"2.png","dog"\n"in/1.png","cat"\n',
    ],
    ids=["header", "none", "bom_crlf", "bom_none_blank", "other_columns", "quoted"],
)
@pytest.mark.parametrize("name", ["list.csv", "LIST.CSV", "list"])
def test_forms(tmp_path, content, name):
    data = load_images(write(tmp_path, content, name))
    assert data.filenames.tolist() == [str(tmp_path / "2.png"), str(tmp_path / "in/1.png")]
    assert data.filenames.dtype == object
    assert data.target_names.tolist() == ["cat", "dog"]
    assert data.target.tolist() == [1, 0] and data.target.dtype.kind == "i"
    assert data.ignored == {} and data.skipped == []
    assert "parts" not in data and "groups" not in data
    assert data["DESCR"] == f"2 images of 2 classes, from the CSV file {tmp_path / name}."


def test_parts_and_groups(tmp_path):
    rows = "group,part,path,label\ng7,Train,1.png,a\ng1, val ,2.png,a\ng7,TESTING,3.png,b\n"
    data = load_images(write(tmp_path, rows))
    assert data.parts.tolist() == ["train", "validation", "test"]
    assert data.groups.tolist() == ["g7", "g1", "g7"]


def test_labels_and_names_keep_their_text(tmp_path):
    paths = ["a;\tb.png", "a, b.png", 'say "hi".png', "two\r\nlines.png", "-rf.png", "ä日.png"]
    paths += [os.path.abspath(tmp_path.parent / "far.png"), "../b.png"]
    labels = ["007", "7", "7.0", " 7", "True", "nan", "ä,日", "a;b"]
    quoted = [
        ",".join('"{}"'.format(text.replace('"', '""')) for text in row)
        for row in zip(paths, labels, strict=True)
    ]
    data = load_images(write(tmp_path, "\n".join(quoted)))
    assert data.filenames.tolist() == [os.path.join(tmp_path, path) for path in paths]
    assert data.target_names[data.target].tolist() == labels


def test_images_come_in_the_order_of_the_file_and_may_come_twice(tmp_path):
    data = load_images(write(tmp_path, "b.png,1\na.png,0\nb.png,1\n"))
    assert [os.path.basename(name) for name in data.filenames] == ["b.png", "a.png", "b.png"]
    assert data.target.tolist() == [1, 0, 1]


def test_relative_to_the_file_not_to_where_one_stands(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    Image.new("L", (3, 2), 7).save(tmp_path / "in/1.png")
    write(tmp_path / "in", "1.png,a\n")
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(load_images("in/list.csv").images[0], np.full((2, 3), 7))
    monkeypatch.chdir(tmp_path / "in")
    assert load_images("list.csv").images[0].shape == (2, 3)


def test_skip_leaves_out_missing_files(tmp_path):
    Image.new("L", (3, 2)).save(tmp_path / "1.png")
    rows = "path,label,part,group\n1.png,a,train,x\nmissing.png,a,test,y\n1.png,a,test,z\n"
    data = load_images(write(tmp_path, rows), errors="skip")
    assert data.parts.tolist() == ["train", "test"] and data.groups.tolist() == ["x", "z"]
    assert [str(error) for error in data.skipped] == [
        f"cannot read {tmp_path / 'missing.png'}: no such file"
    ]


WRONG = {
    "empty": ("", r"list\.csv lists no images"),
    "bom_only": ("\ufeff", r"list\.csv lists no images"),
    "blank_lines": ("\n\n", r"list\.csv lists no images"),
    "header_only": ("path,label\n", r"list\.csv lists no images; wanted path,label in each row"),
    "too_few": ("path,label\n1.png,a\n2.png\n", "line 3: 1 columns, but 2 in the first line"),
    "too_many": ("1.png,a\n\n2.png,a,b\n", "line 3: 3 columns, but 2 in the first line"),
    "no_path": ("path,label\n,a\n", "line 2: the path is empty"),
    "no_label": ("path,label\n1.png,a\n2.png, \n", "line 3: the label is empty"),
    "no_label_first": ("1.png,\n", "line 1: the label is empty"),
    "no_part": ("path,label,part\n1.png,a,\n", "line 2: the part is empty"),
    "no_group": ("path,label,group\n1.png,a,\n", "line 2: the group is empty"),
    "unknown_part": ("path,label,part\n1.png,a,trian\n", "line 2: unknown part 'trian'; wanted tr"),
    "no_label_column": ("path,class\n1.png,a\n", "line 1: the header names no column label"),
    "no_path_column": ("file,label\n1.png,a\n", "line 1: the header names no column path"),
    "twice": ("path,label,Label\n1.png,a,b\n", "line 1: the header names the column label more"),
    "three_columns": ("1.png,a,b\n", "line 1: 3 columns and no header; wanted path,label"),
    "one_column": ("1.png\n2.png\n", "line 1: 1 columns and no header; wanted path,label"),
    "semicolons": (
        "path;label\n1.png;a\n",
        "line 1: columns are separated by semicolons; wanted c",
    ),
    "tabs": ("1.png\ta\n", "line 1: columns are separated by tabs; wanted commas"),
    "latin": ("1.png,a\n2.png,é\n".encode("latin-1"), "line 2: not text in UTF-8"),
    "utf_16": ("1.png,a\n".encode("utf-16"), "line 1: not text in UTF-8"),
    "image": (b"\x89PNG\r\n\x1a\n", "line 1: not text in UTF-8"),
    "late": (b"1.png,a\n" * 9999 + b"\xff.png,a\n", "line 10000: not text in UTF-8"),
    "quote": ('1.png,"a"b\n', "line 1: ',' expected after '\"'"),
    "open_quote": ('1.png,a\n2.png,"a\n3.png,a\n', "line 2: unexpected end of data"),
    "long_quote": (
        '1.png,a\n2.png,"a\n' + 50_000 * "3.png,a\n",
        "line 2: field larger than field l",
    ),
    "after_lines": ('"1\n.png",a\n"2\n.png"\n', "line 3: 1 columns"),
    "two_labels": (
        "path,label\n1.png,a\n2.png,b\n1.png,b\n",
        r"line 4: .*1\.png has the label 'b', and further up 'a'; remove one",
    ),
    "two_labels_spelt": ("1.png,a\n./1.png,b\n", r"line 2: .*1\.png has the label 'b'"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("errors", ["raise", "skip"])
def test_what_is_wrong_is_said_with_its_line(tmp_path, case, errors):
    content, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as raised:
        load_images(write(tmp_path, content), errors=errors)
    assert "\n" not in str(raised.value) and "list.csv" in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        "path\n1.png\n2.png\n",
        "1.png\n2.png\n",
        "1.png,a\n2.png,b\n",
        "id,path,label\n1,1.png,\n2,2.png,\n",
        "part,path\nnone,1.png\n,2.png\n",
    ],
    ids=["header", "none", "labels", "empty_labels", "other_columns"],
)
def test_find_images(tmp_path, content):
    found = find_images(write(tmp_path, content, "list.CSV"))
    assert found.filenames.tolist() == [str(tmp_path / "1.png"), str(tmp_path / "2.png")]
    assert found.filenames.dtype == object and found.ignored == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "list.csv lists no images"),
        ("path\n", "list.csv lists no images"),
        ("label\na\n", "line 1: the header names no column path; wanted a column of paths"),
        ("1.png,a,b\n", "line 1: 3 columns and no header; wanted a column of paths"),
        ("path;label\n1.png;a\n", "line 1: columns are separated by semicolons"),
        ("1.png\n2.png,a\n", "line 2: 2 columns, but 1 in the first line"),
    ],
    ids=["empty", "header_only", "no_path", "three_columns", "semicolons", "columns"],
)
def test_find_images_refuses(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        find_images(write(tmp_path, content))


def test_find_images_in_a_missing_list(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.csv"):
        find_images(tmp_path / "missing.csv")
