"""Every code block of the documentation runs, or says in the line before it where it would.

A page runs from top to bottom in a folder of its own. A comment `<!-- blocks: WORDS -->` says what lies there to begin
with: `study`, `results`, `cohort`, `qiba`. By the tag of a fence: `bash` and `python` are run, `json`, `csv` and `yaml`
are parsed, and written to the folder after `<!-- file: NAME -->`; `text` and `diff` are nothing to run. A block after
`<!-- desktop only -->`, `<!-- cluster only -->` or `<!-- elsewhere -->` is only checked for its syntax.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import REPOSITORY, needs, reference_data, tool

ELSEWHERE = ("desktop only", "cluster only", "elsewhere")
WORDS = ("study", "results", "cohort", "qiba")
BLOCK_LIMIT_S = 300.0
PYTHON = """
import json, sys, traceback
answers, sys.stdout = sys.stdout, sys.stderr
space = {"__name__": "__main__"}
for line in sys.stdin:
    path, start, code = json.loads(line)
    problem = ""
    try:
        exec(compile("\\n" * start + code, path, "exec"), space)
    except BaseException:
        problem = traceback.format_exc()
    print(json.dumps(problem), file=answers, flush=True)
"""
WRITE_STUDY = """
import sys
from pathlib import Path
from DCEPerfusionBMDLib.cli.study import write_phantom
from support import small_phantom
write_phantom(small_phantom(), Path(sys.argv[1]))
"""


@dataclass
class Block:
    """A fenced block: its tag, the comment in the line before it, and the line of its fence."""

    tag: str
    comment: str
    line: int
    code: str


def blocks_of(text: str) -> Iterator[Block]:
    """The fenced blocks of a page; a fence that is not closed runs to the end, as in Markdown."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        fence = re.match(r" *(`{3,}|~{3,}) *(.*)$", lines[number])
        if fence is None:
            number += 1
            continue
        before = [line.strip() for line in lines[:number] if line.strip()][-1:]
        comment = re.fullmatch(r"<!-- *(.*?) *-->", before[0]) if before else None
        start = number
        number += 1
        while number < len(lines) and not re.fullmatch(rf" *{fence[1]}+ *", lines[number]):
            number += 1
        code = textwrap.dedent("\n".join(lines[start + 1 : number]) + "\n")
        yield Block(fence[2], comment[1] if comment else "", start + 1, code)
        number += 1


def environment() -> dict[str, str]:
    """This Python and its commands first, the library of this repository before any other."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    python = os.pathsep.join(str(REPOSITORY / folder) for folder in ("DCEPerfusionBMD", "Testing"))
    return {**os.environ, "PATH": path, "PYTHONPATH": python, "MPLBACKEND": "agg"}


@functools.cache
def made() -> Path:
    """A folder with the small study, its result and a cohort, made once."""
    folder = Path(tempfile.mkdtemp())
    unittest.addModuleCleanup(shutil.rmtree, folder)
    study = folder / "study"
    command = [sys.executable, "-m", "DCEPerfusionBMDLib.cli"]
    analysis = [
        "--dicom",
        study / "dicom",
        "--segmentation",
        study / "segmentation.seg.nrrd",
        "--dxa",
        study / "dxa.csv",
    ]
    for arguments in (
        [sys.executable, "-c", WRITE_STUDY, study],
        [*command, "analyze", *analysis, "--output", folder / "results"],
        [*command, "cohort", "--example", folder / "cohort.csv"],
    ):
        subprocess.run(list(map(str, arguments)), env=environment(), check=True, capture_output=True)
    return folder


def begin(folder: Path, words: list[str]) -> None:
    """Put what a page asks for into its folder."""
    for word in words:
        if word == "cohort":
            shutil.copy(made() / "cohort.csv", folder)
        else:
            shutil.copytree(reference_data("qiba_v6_tofts_dicom") if word == "qiba" else made() / word, folder / word)


def targets() -> set[str]:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))


class Page:
    """A page and what is wrong with it."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        text = path.read_text(encoding="utf-8")
        self.blocks = list(blocks_of(text))
        found = re.search(r"<!-- *blocks: *(.*?) *-->", text)
        self.words = found[1].split() if found else []
        self.problems: list[str] = []
        self.limit = BLOCK_LIMIT_S
        self._python: subprocess.Popen[str] | None = None

    def problem(self, line: int, text: str) -> None:
        self.problems.append(f"{self.name}:{line}: {text.strip()}")

    def run(self) -> list[str]:
        """Run the page in a folder of its own, up to the first block that fails; what is wrong."""
        unknown = [word for word in self.words if word not in WORDS]
        if unknown:
            self.problem(1, f"blocks: {' '.join(unknown)} is none of {', '.join(WORDS)}")
            return self.problems
        with tempfile.TemporaryDirectory() as name:
            begin(Path(name), self.words)
            try:
                for block in self.blocks:
                    self._block(block, Path(name))
                    if self.problems:
                        break
            finally:
                if self._python is not None:
                    self._python.communicate()
        return self.problems

    def _block(self, block: Block, folder: Path) -> None:
        file = re.fullmatch(r"file: *([\w.-]+)", block.comment)
        known = block.comment in ELSEWHERE or re.match(r"blocks:", block.comment)
        if block.comment and not known and not (file and block.tag in ("json", "csv", "yaml")):
            self.problem(block.line, f"<!-- {block.comment} --> means nothing before a block {block.tag!r}")
        elif block.tag in ("bash", "python"):
            here = block.comment not in ELSEWHERE
            (self._bash if block.tag == "bash" else self._run_python)(block, folder, here)
        elif block.tag in ("json", "csv", "yaml"):
            try:
                parse(block)
            except ValueError as error:
                self.problem(block.line, f"no {block.tag}: {error}")
            if file:
                (folder / file[1]).write_text(block.code, encoding="utf-8")
        elif block.tag not in ("text", "diff") and not re.fullmatch(
            r"\{(?!code)[\w-]+\}.*", block.tag
        ):  # a directive of MyST
            self.problem(block.line, f"the tag {block.tag!r} is none of bash, python, json, csv, yaml, text, diff")

    def _bash(self, block: Block, folder: Path, here: bool) -> None:
        for line in block.code.splitlines():
            words = [word for word in line.partition("#")[0].split() if "=" not in word]
            if words[:1] == ["make"]:
                for target in words[1:]:
                    if target not in targets():
                        self.problem(block.line, f"the Makefile has no target {target!r}")
        command = [tool("bash"), "-euo", "pipefail"] if here else [tool("bash"), "-n"]
        script = folder / ".block.sh"
        script.write_text(block.code, encoding="utf-8", newline="\n")
        output = folder / ".block.log"
        with output.open("w", encoding="utf-8") as log:
            try:
                done = subprocess.run(
                    [*command, str(script)],
                    cwd=folder,
                    env=environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=self.limit,
                ).returncode
            except subprocess.TimeoutExpired:
                done = -1
        if done:
            said = output.read_text(encoding="utf-8", errors="replace")[-2000:]
            self.problem(block.line, f"bash ends with {done}:\n{block.code}\n{said}")
        script.unlink()
        output.unlink()

    def _run_python(self, block: Block, folder: Path, here: bool) -> None:
        if not here:
            try:
                compile(block.code, self.name, "exec")
            except SyntaxError as error:
                self.problem(block.line + (error.lineno or 0), str(error))
            return
        if self._python is None:
            self._python = subprocess.Popen(
                [sys.executable, "-c", PYTHON],
                cwd=folder,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
        assert self._python.stdin is not None and self._python.stdout is not None
        watch = threading.Timer(self.limit, self._python.kill)
        watch.start()
        self._python.stdin.write(json.dumps([self.name, block.line, block.code]) + "\n")
        self._python.stdin.flush()
        answer = self._python.stdout.readline()
        watch.cancel()
        problem = json.loads(answer) if answer else "Python ended, or took too long"
        if problem:
            self.problem(block.line, problem)


def parse(block: Block) -> Any:
    """The content of a block of data; a ValueError where it is none."""
    if block.tag == "json":
        return json.loads(block.code)
    if block.tag == "csv":
        rows = list(csv.reader(io.StringIO(block.code), strict=True))
        if len({len(row) for row in rows}) != 1:
            raise ValueError("its rows have different numbers of cells")
        return rows
    needs("yaml")
    import yaml

    try:
        return list(yaml.safe_load_all(block.code))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def pages() -> list[Path]:
    return [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


class Documentation(unittest.TestCase):
    def test_every_block(self) -> None:
        tool("dce-perfusion-bmd")
        found = [Page(path, path.relative_to(REPOSITORY).as_posix()) for path in pages()]
        if any(set(page.words) & {"study", "results", "cohort"} for page in found):
            made()
        with ThreadPoolExecutor(2) as pool:
            futures = {page.name: pool.submit(page.run) for page in found if page.blocks}
        self.assertTrue(futures)
        for name, future in futures.items():
            with self.subTest(page=name):
                self.assertEqual("\n".join(future.result()), "")


class WhatFails(unittest.TestCase):
    """A page that is wrong is found, with its place."""

    def problems(self, text: str, limit: float = BLOCK_LIMIT_S) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "page.md"
            path.write_text(text, encoding="utf-8")
            page = Page(path, "docs/page.md")
            page.limit = limit
            return "\n".join(page.run())

    def test_blocks(self) -> None:
        for text, words in (
            ("```bash\nfalse\n```\n", "docs/page.md:1: bash ends with 1"),
            ("text\n\n```bash\necho one | grep two | cat\n```\n", "docs/page.md:3: bash ends with 1"),
            ("```bash\ndce-perfusion-bmd analyze\n```\n", "bash ends with 2.*--segmentation"),
            ("```bash\necho $UNSET\n```\n", "UNSET"),
            ("```python\nx = 1\n```\n\n```python\n\nassert x == 2\n```\n", 'docs/page.md", line 7, in <module>'),
            ("```python\nimport os\nos._exit(0)\n```\n", "docs/page.md:1: Python ended"),
            ("- item\n\n  ```python\n  1 / 0\n  ```\n", "ZeroDivisionError"),
            ("```\ntext\n```\n", "docs/page.md:1: the tag '' is none of"),
            ("```sh\ntrue\n```\n", "the tag 'sh' is none of"),
            ("```{code-block} bash\ntrue\n```\n", "is none of"),
            ("~~~\ntext\n~~~\n", "docs/page.md:1: the tag ''"),
            ('```json\n{"a": }\n```\n', "docs/page.md:1: no json"),
            ("```csv\na,b\n1\n```\n", "docs/page.md:1: no csv: its rows"),
            ("<!-- not here -->\n```bash\nfalse\n```\n", "docs/page.md:2: <!-- not here --> means nothing"),
            ("<!-- file: a.txt -->\n```bash\nfalse\n```\n", "docs/page.md:2: <!-- file: a.txt --> means nothing"),
            ("<!-- blocks: studie -->\n```bash\ntrue\n```\n", "docs/page.md:1: blocks: studie is none of"),
            ("<!-- elsewhere -->\n```bash\nif\n```\n", "docs/page.md:2: bash ends with 2"),
            ("<!-- desktop only -->\n```python\n\nf(\n```\n", "docs/page.md:4: '\\(' was never closed"),
            (
                "<!-- elsewhere -->\n```bash\nmake PYTHON=python3.12 demo\nmake nothing  # x\n```\n",
                "no target 'nothing'",
            ),
        ):
            with self.subTest(text=text):
                self.assertRegex(self.problems(text), f"(?s){words}")

    def test_limit(self) -> None:
        for text in ("```bash\nsleep 60\n```\n", "```python\nimport time\ntime.sleep(60)\n```\n"):
            self.assertIn("docs/page.md:1: ", self.problems(text, 0.5))

    def test_what_is_right(self) -> None:
        text = """
        <!-- file: words.csv -->

        ```csv
        a,b
        1,2
        ```

        ```bash
        grep -q 1,2 words.csv
        ```

        ```python
        from pathlib import Path
        Path("made.txt").write_text("3", encoding="utf-8")
        x = 4
        print("output is no answer")
        ```

        ```bash
        test "$(cat made.txt)" = 3
        python -c 'import DCEPerfusionBMDLib'
        ```

        ````python
        assert x == 4
        ````

        <!-- desktop only -->
        ```python
        import slicer.app.nothing
        ```

        <!-- cluster only -->
        ```bash
        make demo
        false
        ```

        ```text
        dce-perfusion-bmd inspect DIR
        ```

        ```{toctree}
        x
        ```
        """
        self.assertEqual(self.problems(textwrap.dedent(text)), "")


if __name__ == "__main__":
    unittest.main()
