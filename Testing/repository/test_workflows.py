"""The workflows for the public, and the commands without make: they do what the Makefile does, in the same words."""

from __future__ import annotations

import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

import yaml
from support import needs

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
WITHOUT_MAKE = ("py ", ".venv\\", "python3 -m venv", ".venv/bin/")
SYSTEM = ("sudo apt-get update", "sudo apt-get install ")


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def steps() -> list[dict[str, Any]]:
    """Every step of every job."""
    found = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in WORKFLOWS]
    return [step for workflow in found for job in workflow["jobs"].values() for step in job["steps"]]


def lines_without_make(text: str) -> list[str]:
    """The commands of a page that need no make, from its fenced blocks, without comments."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\s{2,}#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(WITHOUT_MAKE)]


class WithoutMake(unittest.TestCase):
    """The commands spelled out for Windows and for macOS."""

    def setUp(self) -> None:
        lines = lines_without_make(text_of("CONTRIBUTING.md"))
        self.windows = [line for line in lines if "\\" in line or line.startswith("py ")]
        self.others = [line for line in lines if line not in self.windows]

    def test_windows_is_the_same_as_macos(self) -> None:
        self.assertEqual(len(self.windows), 8)
        told = [line.replace(".venv\\Scripts\\", ".venv/bin/").replace("\\", "/") for line in self.windows]
        self.assertEqual([re.sub(r"^py ", "python3 ", line) for line in told], self.others)

    def test_they_do_what_make_does(self) -> None:
        """The same extras and constraints, and the same programs in the same order."""
        makefile = text_of("Makefile")
        rule = r"^\$\(VENV\)/\.(?:headless|test):.*\n\t.*--editable '([^']+)'"
        extras = re.findall(rule, makefile, re.MULTILINE)
        constraints = set(re.findall(r"--constraint (\S+)", makefile))
        installs = [line for line in self.others if " pip install " in line]
        self.assertEqual([re.findall(r'-e "([^"]+)"', line)[0] for line in installs], extras)
        self.assertEqual({re.findall(r"-c (\S+)", line)[0] for line in installs}, constraints)
        for target in ("demo", "test"):
            recipe = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[0]
            commands = [line.strip().replace("$(BIN)/", ".venv/bin/") for line in recipe.splitlines()]
            start = self.others.index(commands[0])
            self.assertEqual(self.others[start : start + len(commands)], commands)

    def test_the_front_page_says_the_same(self) -> None:
        for line in lines_without_make(text_of("README.md")):
            self.assertIn(line, self.windows + self.others)


class Workflows(unittest.TestCase):
    def test_only_known_commands(self) -> None:
        makefile, known = text_of("Makefile"), lines_without_make(text_of("CONTRIBUTING.md"))
        commands = [line for step in steps() for line in step.get("run", "").splitlines()]
        self.assertGreater(len(commands), 5)
        for command in commands:
            if command.startswith("make "):
                self.assertRegex(makefile, rf"(?m)^{command.removeprefix('make ')}:")
            elif not command.startswith(SYSTEM):
                self.assertIn(command, known)

    def test_actions_are_pinned(self) -> None:
        """By the commit, with the version beside it for the reader."""
        lines = [
            line for path in WORKFLOWS for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line
        ]
        self.assertTrue(lines)
        for line in lines:
            self.assertRegex(line, r"uses: actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")

    def test_every_python_and_system(self) -> None:
        text = text_of(".github/workflows/tests.yml")
        low, high = map(int, re.findall(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', text_of("pyproject.toml"))[0])
        versions = ", ".join(f'"3.{minor}"' for minor in range(low, high))
        self.assertIn(f"python: [{versions}]", text)
        for system in ("ubuntu", "macos", "windows"):
            self.assertRegex(text, f"runs-on: {system}-latest")

    def test_schema(self) -> None:
        """GitHub's schema of workflows, as check-jsonschema brings it."""
        needs("check_jsonschema")
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
        run = subprocess.run([*command, *map(str, WORKFLOWS)], capture_output=True, encoding="utf-8")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
