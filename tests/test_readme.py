"""Every code block of the README runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
MAKEFILE = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """An empty folder with a folder of photographs in it."""
    desk = tmp_path_factory.mktemp("desk")
    rng = np.random.default_rng(0)
    for label, level in (("night", 60), ("noon", 180)):
        (desk / "photographs" / label).mkdir(parents=True)
        for i in range(6):
            pixels = np.clip(rng.normal(level, 30, (40 + i, 50, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(desk / "photographs" / label / f"{i}.png")
    return desk


def test_readme_has_both_kinds_of_blocks():
    assert {language for language, _ in BLOCKS} == {"python", "sh"}


def test_python_blocks_run_one_after_the_other(desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    namespace = {}
    for language, code in BLOCKS:
        if language == "python":
            exec(compile(code, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out
    assert float(printed.split()[0]) > 0.97
    assert "color_svm" in printed and "['night' 'night' 'night']" in printed


def test_shell_commands_run(desk):
    """Commands of the package run as they stand; the others do what the Makefile does."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in shell_commands():
        words = shlex.split(command, comments=True)
        if words[0] in ("visionpipe", "python"):
            done = subprocess.run(
                command, shell=True, cwd=desk, env=os.environ | {"PATH": path},
                capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            assert done.stdout
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:", MAKEFILE, re.M), command
        elif not words[0].endswith("visionpipe"):
            assert command.removeprefix("python3 ") in MAKEFILE, command


def shell_commands():
    for language, code in BLOCKS:
        if language == "sh":
            yield from code.strip().splitlines()
