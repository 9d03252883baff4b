"""Who may import what: the import table of the architecture, enforced on the source text.

A room is a module or a package directly under DCEPerfusionBMDLib. A new room must be entered in LAYERS below.
"""

from __future__ import annotations

import ast
import sys
import unittest
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "DCEPerfusionBMD"
LIBRARY = MODULE / "DCEPerfusionBMDLib"


@dataclass(frozen=True)
class Layer:
    """Rooms under the same rules; they may import each other and the rooms of the layers before them.

    `packages` are the third-party packages allowed anywhere, `optional` those allowed inside functions only.
    """

    rooms: frozenset[str]
    packages: frozenset[str]
    optional: frozenset[str] = frozenset()


ANYTHING = frozenset("*")
NOTHING: frozenset[str] = frozenset()
NUMERICS = frozenset({"numpy", "scipy"})
FILES = NUMERICS | {"pydicom"}
OPTIONAL = frozenset({"highdicom", "SimpleITK", "matplotlib", "distributed"})
QT = {"qt", "ctk", "PythonQt", "PyQt5", "PyQt6", "PySide2", "PySide6"}

LAYERS = (
    Layer(
        frozenset({"__init__", "errors", "memory", "settings", "quantities", "tables", "data", "layout"}), frozenset()
    ),
    Layer(frozenset({"kinetics", "roi", "densitometry", "statistics"}), NUMERICS),
    Layer(frozenset({"times", "series", "frames", "conversion"}), NUMERICS),
    Layer(frozenset({"motion"}), NUMERICS, frozenset({"SimpleITK"})),
    Layer(frozenset({"result", "study"}), NUMERICS),
    Layer(frozenset({"cohort", "phantom", "panel"}), NUMERICS),
    Layer(
        frozenset({"dicomio", "export", "figures", "batch", "volumefiles", "stacks", "seriesfiles"}),
        FILES,
        OPTIONAL,
    ),
    Layer(frozenset({"scene", "sceneinput"}), FILES | {"slicer", "vtk"}, OPTIONAL),
    Layer(frozenset({"scenestudy", "scenecohort"}), FILES | {"slicer", "vtk"}, OPTIONAL),
    Layer(frozenset({"desktop"}), FILES | {"slicer", "vtk"}),
    Layer(frozenset({"headless", "cli"}), ANYTHING),
)
LAYER_OF = {room: number for number, layer in enumerate(LAYERS) for room in layer.rooms}

DESKTOP = {"vtk", "qt", "ctk", "slicer"}
APPLICATION = {"slicer.app", "slicer.modules", "slicer.mrmlScene"}
# The functions of slicer.util that need neither the application nor its scene; the others do.
SCENE_UTILITIES = {
    "VTKObservationMixin",
    "NodeModify",
    "arrayFromSegmentInternalBinaryLabelmap",
    "arrayFromTableColumn",
    "arrayFromVTKMatrix",
    "arrayFromVolume",
    "arrayFromVolumeModified",
    "toBool",
    "updateTableFromArray",
    "updateVTKMatrixFromArray",
    "updateVolumeFromArray",
    "vtkMatrixFromArray",
}


@dataclass(frozen=True)
class Import:
    """One imported name, absolute and dotted, and whether it is imported when the file is."""

    name: str
    line: int
    at_file_scope: bool

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]


def imports(tree: ast.Module, package: str) -> Iterator[Import]:
    """Every import of a file that belongs to `package`; `import_module("...")` counts as one."""

    def visit(node: ast.AST, at_file_scope: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_file_scope)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (above, node.module) if part)
            for alias in node.names:
                yield Import(f"{origin}.{alias.name}", node.lineno, at_file_scope)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            for name in node.args[:1]:
                if isinstance(name, ast.Constant):
                    yield Import(str(name.value), node.lineno, at_file_scope)
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            inside = True  # never run
        for child in ast.iter_child_nodes(node):
            yield from visit(child, at_file_scope and not inside)

    yield from visit(tree, True)


def room_of(name: str) -> str:
    """The room that a dotted name under DCEPerfusionBMDLib leads to; names of the package itself are `__init__`."""
    first = name.split(".")[1] if "." in name else ""
    is_room = first in LAYER_OF or (LIBRARY / first).is_dir() or (LIBRARY / f"{first}.py").is_file()
    return first if first and is_room else "__init__"


def slicer_uses(tree: ast.Module, imported: list[Import]) -> Iterator[tuple[str, int]]:
    """Every dotted name that starts at the package `slicer`, however it was imported, and its line."""
    meaning = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "slicer":
                    meaning[alias.asname or "slicer"] = alias.name if alias.asname else "slicer"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "slicer" and not node.level:
            for alias in node.names:
                meaning[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    yield from ((item.name, item.line) for item in imported if item.package == "slicer")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            if first in meaning:
                yield f"{meaning[first]}.{rest}", node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and len(node.args) > 1:
            target, name = node.args[:2]
            first, _, rest = ast.unparse(target).partition(".")
            if first in meaning and isinstance(name, ast.Constant):
                yield ".".join(part for part in (meaning[first], rest, str(name.value)) if part), node.lineno


def library_violations(path: str, source: str) -> list[str]:
    """What a library file does against the rules; `path` is relative to the library, with slashes."""
    parts = path.removesuffix(".py").split("/")
    room = parts[0]
    where = f"DCEPerfusionBMDLib/{path}"
    if room not in LAYER_OF:
        return [f"{where}:1: {room!r} is no room of the import table; enter it in LAYERS of {Path(__file__).name}"]
    layer = LAYERS[LAYER_OF[room]]
    tree = ast.parse(source, path)
    imported = list(imports(tree, ".".join(["DCEPerfusionBMDLib", *parts[:-1]])))
    found = set()
    for item in imported:
        if item.package == "DCEPerfusionBMDLib":
            target = room_of(item.name)
            if target not in LAYER_OF:
                found.add((item.line, f"imports {target}, which is no room of the import table"))
            elif LAYER_OF[target] > LAYER_OF[room]:
                found.add((item.line, f"{room} must not import {target}: imports never lead to a later layer"))
        elif item.package == "DCEPerfusionBMD":
            found.add((item.line, "the library must not import the module"))
        elif item.package in QT:
            found.add((item.line, f"{room} must not import {item.package}: Qt belongs in the module file"))
        elif item.package not in sys.stdlib_module_names | layer.packages and layer.packages != ANYTHING:
            if item.package not in layer.optional:
                found.add((item.line, f"{room} must not import {item.package}"))
            elif item.at_file_scope:
                found.add((item.line, f"{room} may import {item.package} inside functions only: it is optional"))
    if room in {"scene", "sceneinput", "scenestudy"}:
        for name, line in slicer_uses(tree, imported):
            chain = name.split(".")
            if ".".join(chain[:2]) in APPLICATION:
                found.add((line, f"scene must not use {'.'.join(chain[:2])}: the scene is a parameter"))
            elif chain[:2] == ["slicer", "util"] and len(chain) > 2 and chain[2] not in SCENE_UTILITIES:
                found.add((line, f"scene must not use slicer.util.{chain[2]}: it may reach for the application"))
    return [f"{where}:{line}: {rule}" for line, rule in sorted(found)]


def module_violations(source: str) -> list[str]:
    """What the module file does against the rules."""
    found = set()
    for item in imports(ast.parse(source), "DCEPerfusionBMD"):
        room = room_of(item.name) if item.package == "DCEPerfusionBMDLib" else ""
        if item.package in NUMERICS:
            found.add((item.line, f"no {item.package} in the module file: numerics belong in the library"))
        elif room in {"headless", "cli"}:
            found.add((item.line, f"the module must not import {room}"))
        elif item.at_file_scope and room != "settings" and item.package not in sys.stdlib_module_names | DESKTOP:
            found.add((item.line, f"import {item.name} inside the methods that need it, not at file scope"))
    return [f"DCEPerfusionBMD.py:{line}: {rule}" for line, rule in sorted(found)]


class TestImportTable(unittest.TestCase):
    """The files on disk keep the table."""

    def test_library(self) -> None:
        paths = sorted(LIBRARY.rglob("*.py"))
        self.assertTrue(paths, f"no library in {LIBRARY}")
        found = []
        for path in paths:
            found += library_violations(path.relative_to(LIBRARY).as_posix(), path.read_text(encoding="utf-8"))
        self.assertFalse(found, "\n" + "\n".join(found))

    def test_module_file(self) -> None:
        found = module_violations((MODULE / "DCEPerfusionBMD.py").read_text(encoding="utf-8"))
        self.assertFalse(found, "\n" + "\n".join(found))

    def test_only_the_module_lies_beside_the_library(self) -> None:
        """Slicer takes every .py file of a module folder for a module."""
        self.assertEqual([path.name for path in MODULE.glob("*.py")], ["DCEPerfusionBMD.py"])


class TestRules(unittest.TestCase):
    """The rules catch what they are there for, shown on small sources."""

    def test_library_rules(self) -> None:
        forbidden = {
            "settings.py": ["import numpy", "from .study import analyze"],
            "tables.py": ["import pandas"],
            "kinetics/tofts.py": [
                "import pydicom",
                "def f():\n    import pydicom",
                "from .. import dicomio",
                "from ..scene import write",
                "from ..export.csv import write",
                "import DCEPerfusionBMDLib.cli",
                "import importlib\nimportlib.import_module('slicer')",
            ],
            "roi/margin.py": ["import SimpleITK", "from ..headless import start"],
            "motion.py": ["import SimpleITK", "from .study import analyze"],
            "study.py": [
                "def f():\n    import SimpleITK",
                "from . import dicomio",
                "from .cohort import Cohort",
                "import vtk",
            ],
            "dicomio.py": [
                "import highdicom",
                "try:\n    import highdicom\nexcept ImportError:\n    pass",
                "import vtk",
            ],
            "figures.py": ["import matplotlib.pyplot as plt", "from .scene import read"],
            "scene.py": [
                "import qt",
                "def f():\n    import ctk",
                "import slicer\nslicer.mrmlScene",
                "import slicer as s\ns.app.processEvents()",
                "from slicer import modules",
                "import slicer\nslicer.util.getNode('x')",
                "from slicer.util import loadVolume",
                "import slicer\ngetattr(slicer, 'mrmlScene')",
                "from . import headless",
            ],
            "scene/write.py": ["import slicer\nslicer.mrmlScene.Clear()", "from ..headless import start"],
            "cli/study.py": ["import qt"],
            "newcomer.py": ["import math"],
        }
        for path, sources in forbidden.items():
            for source in sources:
                with self.subTest(path=path, source=source):
                    found = library_violations(path, source)
                    self.assertTrue(found)
                    self.assertRegex(found[0], rf"^DCEPerfusionBMDLib/{path}:\d+: .+")

    def test_library_allows(self) -> None:
        allowed = {
            "settings.py": ["import math", "from .errors import InputError"],
            "kinetics/tofts.py": [
                "import numpy as np\nfrom scipy import special",
                "from . import aif\nfrom .. import __version__",
            ],
            "study.py": ["from . import kinetics, __version__\nfrom .roi.margin import inner"],
            "motion.py": ["from .series import DynamicSeries\ndef f():\n    import SimpleITK"],
            "dicomio.py": ["import pydicom\nfrom .study import DynamicSeries", "def f():\n    import highdicom"],
            "figures.py": ["def f():\n    from matplotlib.figure import Figure"],
            "scene.py": ["import slicer\nimport vtk\nslicer.util.arrayFromVolume(node)\nslicer.vtkMRMLTableNode()"],
            "cli/study.py": ["from .. import headless\nimport slicer\nslicer.util.getNode('x')"],
        }
        for path, sources in allowed.items():
            for source in sources:
                with self.subTest(path=path, source=source):
                    self.assertEqual(library_violations(path, source), [])

    def test_module_rules(self) -> None:
        for source in (
            "import pydicom",
            "from DCEPerfusionBMDLib import study",
            "def f():\n    import numpy",
            "def f():\n    from DCEPerfusionBMDLib import headless",
        ):
            with self.subTest(source=source):
                self.assertRegex("".join(module_violations(source)), r"^DCEPerfusionBMD\.py:\d+: .+")
        for source in (
            "import vtk, qt, ctk, slicer, os",
            "from DCEPerfusionBMDLib.settings import Settings",
            "def f():\n    from DCEPerfusionBMDLib import study",
        ):
            with self.subTest(source=source):
                self.assertEqual(module_violations(source), [])


if __name__ == "__main__":
    unittest.main()
