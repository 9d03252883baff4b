"""What Slicer's Extensions Index asks of an extension, as far as it can be checked without a network.

    python Testing/repository/test_catalogue.py CLONE

runs the program of the index itself, from a clone of github.com/Slicer/ExtensionsIndex, on what is committed here; what
it would fetch is answered from this repository. It needs Python 3.12 or newer and jsonschema.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "DCEPerfusionBMD"
NAME = "DCEPerfusionBMD"
ENTRY = REPOSITORY / "Resources" / f"{NAME}.json"
RAW = "https://raw.githubusercontent.com/DCEPerfusionBMD/SlicerDCEPerfusionBMD/main/"

# The schema of an entry, version 1.0.2: nothing else is allowed, the first three are required.
SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json#"
)
REQUIRED = {"$schema": str, "category": str, "scm_url": str}
ALLOWED = REQUIRED | {"scm_revision": str, "scm_type": str, "build_dependencies": list, "dicom_support_rule": str}
ALLOWED |= {"build_subdirectory": str, "enabled": bool, "tier": int}
CATEGORIES = (
    "Analysis",
    "DICOM",
    "Informatics",
    "Quantification",
    "Segmentation",
    "Sequences",
)  # some of those it knows
LARGEST_MB = 100
BINARY = {".png", ".qm"}
SENDING = {
    "ftplib",
    "http.client",
    "requests",
    "smtplib",
    "socket",
    "ssl",
    "urllib.request",
    "urllib3",
    "xmlrpc.client",
}
SENDING |= {"downloadFile", "pip_ensure", "pip_install"}  # of Slicer


def our_files() -> Iterator[Path]:
    """Every file of the repository, without what `.gitignore` names and without Git's own."""
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").split()
    patterns = [pattern.rstrip("/") for pattern in ignored]
    for path in sorted(REPOSITORY.rglob("*")):
        parts = path.relative_to(REPOSITORY).parts
        if path.is_file() and ".git" not in parts and not any(Path(p).match(q) for p in parts for q in patterns):
            yield path


def cmake_value(variable: str) -> str:
    """The value of a variable as the index reads it: one statement, quoted, no space before the bracket."""
    text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.findall(rf'set\s*\({variable}\s*"([^"]+)"\)', text, re.IGNORECASE)
    if len(found) != 1:
        raise AssertionError(f"CMakeLists.txt sets {variable} {len(found)} times in a way that the index can read")
    return found[0]


class Entry(unittest.TestCase):
    """Resources/DCEPerfusionBMD.json is what goes into the index."""

    def setUp(self) -> None:
        self.content = ENTRY.read_bytes()
        self.entry = json.loads(self.content)

    def test_schema(self) -> None:
        self.assertEqual(self.entry["$schema"], SCHEMA)
        self.assertLessEqual(set(REQUIRED), set(self.entry))
        for key, value in self.entry.items():
            self.assertIn(key, ALLOWED)
            self.assertIs(type(value), ALLOWED[key], key)
        self.assertIn(self.entry["tier"], range(1, 6))

    def test_format(self) -> None:
        """As the formatter of the index leaves it: two spaces, one key a line, LF."""
        self.assertEqual(self.content.decode(), json.dumps(self.entry, indent=2) + "\n")
        self.assertEqual(list(self.entry), sorted(self.entry))

    def test_names(self) -> None:
        self.assertFalse(NAME.lower().startswith("slicer"))
        self.assertRegex(self.entry["scm_url"], rf"^https://github\.com/[\w-]+/Slicer{NAME}\.git$")
        self.assertEqual(self.entry["scm_revision"], "main")
        self.assertEqual(self.entry["build_dependencies"], [])

    def test_category(self) -> None:
        self.assertIn(self.entry["category"], CATEGORIES)

    def test_agrees_with_cmake(self) -> None:
        self.assertEqual(self.entry["category"], cmake_value("EXTENSION_CATEGORY"))
        self.assertEqual(self.entry["scm_url"], cmake_value("EXTENSION_HOMEPAGE") + ".git")
        self.assertEqual(cmake_value("EXTENSION_DEPENDS"), "NA")

    def test_no_rule_for_every_mr_study(self) -> None:
        """It would advertise the extension for all of them."""
        self.assertNotIn("dicom_support_rule", self.entry)


class Metadata(unittest.TestCase):
    """What the checks read from CMakeLists.txt and from the root of the repository."""

    def test_project_name(self) -> None:
        """The first match counts, even in a comment."""
        text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
        found = re.findall(r"project\s*\(\s*([^\s\)\n\r]+)", text, re.IGNORECASE)
        self.assertEqual(found[:1], [NAME])

    def test_description(self) -> None:
        """One or two sentences, and that it is for research."""
        description = cmake_value("EXTENSION_DESCRIPTION")
        self.assertLessEqual(len(re.findall(r"\.(?:\s|$)", description)), 3)
        self.assertTrue(description.endswith("For research use only."))

    def test_pictures(self) -> None:
        """The addresses are those of raw files, which lie here and are PNG."""
        urls = [cmake_value("EXTENSION_ICONURL"), *cmake_value("EXTENSION_SCREENSHOTURLS").split()]
        self.assertGreaterEqual(len(urls), 2)
        for url in urls:
            self.assertTrue(url.startswith(RAW), url)
            path = REPOSITORY / url.removeprefix(RAW)
            self.assertEqual(path.read_bytes()[:8], b"\x89PNG\r\n\x1a\n", url)
        captions = (REPOSITORY / "Resources" / "Screenshots" / "README.md").read_text(encoding="utf-8")
        for url in urls[1:]:
            self.assertIn(url.removeprefix(RAW), captions, "it is not told how the picture was made")

    def test_icon(self) -> None:
        """128 x 128 pixels with transparency, and the module's icon too."""
        content = (REPOSITORY / cmake_value("EXTENSION_ICONURL").removeprefix(RAW)).read_bytes()
        self.assertEqual([int.from_bytes(content[start : start + 4], "big") for start in (16, 20)], [128, 128])
        self.assertEqual(content[25], 6, "color type is not RGBA")
        self.assertEqual((MODULE / "Resources" / "Icons" / f"{NAME}.png").read_bytes(), content)

    def test_license(self) -> None:
        accepted = {"LICENSE", "LICENCE", "License.txt", "license.txt", "LICENSE.txt", "COPYING", "COPYING.txt"}
        self.assertEqual({path.name for path in REPOSITORY.iterdir()} & accepted, {"LICENSE.txt"})
        self.assertIn("Apache License", (REPOSITORY / "LICENSE.txt").read_text(encoding="utf-8"))
        self.assertIn("Apache-2.0", (REPOSITORY / "README.md").read_text(encoding="utf-8"), "the homepage names it")


class Content(unittest.TestCase):
    """What lies in the repository."""

    def test_size(self) -> None:
        """What is cloned is weighed with its history, and that of a clone alone is in `.git`."""
        history = REPOSITORY / ".git"
        counted = [*our_files(), *(path for path in history.rglob("*") if path.is_file())]
        self.assertLess(sum(path.stat().st_size for path in counted) / 2**20, LARGEST_MB)

    def test_python_only(self) -> None:
        """The index builds a test package only of extensions without C++ and without dependencies."""
        self.assertEqual([path for path in our_files() if path.suffix in {".cxx", ".h"}], [])

    def test_no_binaries(self) -> None:
        """Everything but pictures and the compiled translation is text, with LF and a newline at its end."""
        paths = [path for path in our_files() if path.suffix not in BINARY]
        self.assertGreater(len(paths), 100)
        for path in paths:
            content = path.read_bytes()
            content.decode("utf-8")
            self.assertFalse(b"\r" in content or b"\0" in content, path)
            self.assertTrue(not content or content.endswith(b"\n"), f"{path} has no newline at its end")

    def test_nothing_is_sent_or_fetched_or_installed(self) -> None:
        for path in MODULE.rglob("*.py"):
            names: set[str] = set()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
                elif isinstance(node, ast.Attribute):
                    names.add(node.attr)
            by_consent = {"pip_install"} if path.name == "desktop.py" else set()  # matplotlib, when the user says yes
            self.assertEqual(names & SENDING, by_consent, path)

    def test_no_template_left(self) -> None:
        for path in (REPOSITORY / "CMakeLists.txt", MODULE / f"{NAME}.py", REPOSITORY / "README.md"):
            self.assertNotRegex(path.read_text(encoding="utf-8"), r"(?i)TODO|FIXME|example\.com|John Doe|AnyWare|lorem")


STUB = """\
import json, os, pathlib
class RequestException(Exception): pass
class Response:
    status_code = 200
    def __init__(self, content, kind): self.content, self.headers = content, {"Content-Type": kind}
    def json(self): return json.loads(self.content)
    def raise_for_status(self): pass
def get(url, **others):
    if url.startswith(os.environ["RAW"]):
        path = pathlib.Path(os.environ["CHECKED"], url[len(os.environ["RAW"]):])
        if not path.is_file(): raise RequestException(f"404: {url}")
        return Response(path.read_bytes(), "image/png")
    if "/Schemas/" in url:
        return Response(pathlib.Path("schemas", url.rpartition("/")[2]).read_bytes(), "text/plain")
    if url.endswith("/topics"):  # it cannot be known here
        return Response(b'{"names": ["3d-slicer-extension"]}', "application/json")
    raise RequestException(f"no answer for {url}")
"""


def run_the_index_itself(index: Path) -> int:
    """Its own checks on a clone of this repository, with what they would download answered from it."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "stub").mkdir()
        (work / "stub" / "requests.py").write_text(STUB, encoding="utf-8")
        subprocess.run(["git", "clone", "--quiet", str(index), str(work / "index")], check=True)
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(work / "ours")], check=True)
        subprocess.run(["git", "-C", str(work / "ours"), "checkout", "--quiet", "-B", "main"], check=True)
        (work / "index" / ENTRY.name).write_bytes(ENTRY.read_bytes())
        ours = {"RAW": RAW, "CHECKED": str(work / "ours"), "PYTHONPATH": str(work / "stub"), "GIT_CONFIG_COUNT": "1"}
        ours["GIT_CONFIG_KEY_0"] = f"url.{(work / 'ours').as_uri()}.insteadOf"
        ours["GIT_CONFIG_VALUE_0"] = json.loads(ENTRY.read_bytes())["scm_url"]
        for script in (["scripts/check_repository_structure.py"], ["scripts/check_description_files.py", ENTRY.name]):
            run = subprocess.run([sys.executable, *script], cwd=work / "index", env={**os.environ, **ours}, check=False)
            if run.returncode:
                return run.returncode
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(run_the_index_itself(Path(sys.argv[1])))
    unittest.main()
