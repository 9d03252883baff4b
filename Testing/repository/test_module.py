"""The module file and its panel, without running them: names that exist in Slicer, bindings, tooltips, imports."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from DCEPerfusionBMDLib.settings import CohortSettings, all_parameters, parameters

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "DCEPerfusionBMD"
FILES = (MODULE / "DCEPerfusionBMD.py", MODULE / "DCEPerfusionBMDLib" / "desktop.py")
UI = MODULE / "Resources" / "UI" / "DCEPerfusionBMD.ui"
NAMES = Path(__file__).with_name("slicer_names.json")
OWN_PARAMETERS = {
    *("series", "segmentation", "dxaTable", "frameTimes", "skipFrames"),
    *("singleSite", "singleTScore", "singleBmd", "autoUpdate", "cohortTable"),
}
COHORT_PARAMETERS = ("classification", "marks", "ve_unit")
INPUTS = {"QComboBox", "QSpinBox", "QDoubleSpinBox", "QLineEdit", "QCheckBox", "QPushButton", "QTableWidget"}
INPUTS |= {"qMRMLNodeComboBox", "QTextBrowser"}


def used_names(source: str) -> set[str]:
    """Every dotted name of `slicer`, `qt`, `ctk` and `vtk` that a file reads or imports."""
    tree, found = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if re.fullmatch(r"(slicer|qt|ctk|vtk)(\.\w+)+", name):
                found.add(name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("slicer", "qt", "ctk"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if not any(other.startswith(name + ".") for other in found)}


class Names(unittest.TestCase):
    """What the module takes from the application was looked up there: the data file says where."""

    def test_every_name_was_looked_up(self) -> None:
        known = json.loads(NAMES.read_text(encoding="utf-8"))
        used = set().union(*(used_names(file.read_text(encoding="utf-8")) for file in FILES))
        self.assertEqual(sorted(used - set(known)), [], "look it up in Slicer and enter its origin")
        self.assertEqual(sorted(set(known) - used), [], "no longer used")
        for name, origin in known.items():
            self.assertTrue(origin, name)

    def test_names_of_slicer_core(self) -> None:
        try:
            import slicer
            import vtk
        except ImportError:
            self.skipTest("slicer-core is absent")
        for name, origin in json.loads(NAMES.read_text(encoding="utf-8")).items():
            if origin == "slicer-core":
                first, *rest = name.split(".")
                found: object = {"slicer": slicer, "vtk": vtk}[first]
                for part in rest:
                    found = getattr(found, part)


class Panel(unittest.TestCase):
    """The .ui file."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.tree = ElementTree.parse(UI).getroot()
        cls.widgets = {widget.get("name"): widget for widget in cls.tree.iter("widget")}
        cls.source = FILES[0].read_text(encoding="utf-8")

    @staticmethod
    def properties(widget: ElementTree.Element) -> dict[str, str]:
        return {item.get("name", ""): "".join(item.itertext()).strip() for item in widget.findall("property")}

    def test_top_widget(self) -> None:
        top = self.tree.find("widget")
        self.assertEqual((top.get("class"), top.get("name")), ("qMRMLWidget", "DCEPerfusionBMD"))

    def test_names_are_unique(self) -> None:
        names = [item.get("name") for kind in ("widget", "layout") for item in self.tree.iter(kind)]
        self.assertEqual(len(names), len(set(names)))

    def test_bindings_resolve(self) -> None:
        known = set(OWN_PARAMETERS)
        for parameter in all_parameters():
            known.add(f"{parameter.group}.{parameter.name}")
            if parameter.optional and parameter.type in (int, float) and not parameter.choices:
                known.add(f"{parameter.group}.{parameter.name}_from_data")
        known |= {f"cohort.{name}" for name in COHORT_PARAMETERS}
        bound = [
            properties["SlicerParameterName"]
            for widget in self.widgets.values()
            if "SlicerParameterName" in (properties := self.properties(widget))
        ]
        self.assertEqual(sorted(bound), sorted(known))

    def test_widgets_that_the_code_uses(self) -> None:
        used = set(re.findall(r"\bui\.(\w+)", self.source))
        self.assertEqual(sorted(used - set(self.widgets)), [])

    def test_tooltips(self) -> None:
        described = {f"{p.group}.{p.name}": p for p in all_parameters()}
        described |= {f"cohort.{p.name}": p for p in parameters(CohortSettings)}
        for name, widget in self.widgets.items():
            if widget.get("class") not in INPUTS:
                continue
            properties = self.properties(widget)
            self.assertTrue(properties.get("toolTip"), f"{name} has no tooltip")
            parameter = described.get(properties.get("SlicerParameterName", ""))
            if parameter is not None:
                tip = properties["toolTip"]
                self.assertTrue(tip.lower().startswith(parameter.help.lower()), f"{name}: {tip}")
                if parameter.unit:
                    self.assertIn(f"({parameter.unit})", tip, name)

    def test_editors_can_show_their_limits(self) -> None:
        """A limit that is rounded in its editor would be a value that the parameter refuses."""
        described = {f"{p.group}.{p.name}": p for p in all_parameters()}
        for name, widget in self.widgets.items():
            properties = self.properties(widget)
            parameter = described.get(properties.get("SlicerParameterName", ""))
            if widget.get("class") != "QDoubleSpinBox" or parameter is None:
                continue
            decimals = int(properties.get("decimals", 2))
            for limit in (parameter.minimum, parameter.maximum, parameter.default):
                if limit is not None:
                    self.assertEqual(round(limit, decimals), limit, f"{name} shows {decimals} decimals")

    def test_mrml_widgets_get_the_scene(self) -> None:
        connected = {item.findtext("receiver") for item in self.tree.iter("connection")}
        for item in self.tree.iter("connection"):
            self.assertEqual(item.findtext("sender"), "DCEPerfusionBMD")
            self.assertEqual(item.findtext("signal"), "mrmlSceneChanged(vtkMRMLScene*)")
            self.assertEqual(item.findtext("slot"), "setMRMLScene(vtkMRMLScene*)")
        for name, widget in self.widgets.items():
            if widget.get("class", "").startswith("qMRML") and name != "DCEPerfusionBMD":
                self.assertIn(name, connected)

    def test_node_types_exist(self) -> None:
        try:
            import slicer
        except ImportError:
            self.skipTest("slicer-core is absent")
        for name, widget in self.widgets.items():
            if widget.get("class") == "qMRMLNodeComboBox":
                types = [item.text for item in widget.iter("string") if (item.text or "").startswith("vtkMRML")]
                self.assertTrue(types, name)
                for class_name in types:
                    self.assertTrue(hasattr(slicer, class_name or ""), class_name)

    def test_custom_widgets_are_declared(self) -> None:
        declared = {item.findtext("class") for item in self.tree.iter("customwidget")}
        used = {widget.get("class", "") for widget in self.widgets.values()}
        self.assertEqual({name for name in used if not name.startswith("Q")}, declared)

    def test_keyboard_order(self) -> None:
        """Every control is reached by the tab key, in the order in which it is seen."""
        stops = [item.text for item in self.tree.iter("tabstop")]
        controls = [name for name, widget in self.widgets.items() if widget.get("class") in INPUTS]
        self.assertEqual(stops, controls)

    def test_labels_name_their_editor(self) -> None:
        for name, widget in self.widgets.items():
            buddy = self.properties(widget).get("buddy")
            if buddy is not None:
                self.assertIn(buddy, self.widgets, name)

    def test_apply_is_disabled_at_first(self) -> None:
        self.assertEqual(self.properties(self.widgets["applyButton"])["enabled"], "false")


class Translations(unittest.TestCase):
    """Every text of the panel has its Chinese, with the same places for values."""

    def test_complete(self) -> None:
        tree = ElementTree.parse(MODULE / "Resources" / "Translations" / "DCEPerfusionBMD_zh_CN.ts").getroot()
        context = tree.find("context")
        self.assertEqual(context.findtext("name"), "DCEPerfusionBMD")
        translated = {item.findtext("source"): item.find("translation") for item in context.findall("message")}
        texts = {
            item.text
            for item in ElementTree.parse(UI).getroot().iter("string")
            if item.get("notr") != "true" and item.text and not item.text.startswith("vtkMRML")
        }
        for node in ast.walk(ast.parse(FILES[0].read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "_":
                texts.add(ast.literal_eval(node.args[0]))
        self.assertEqual(sorted(texts - set(translated)), [], "not in the .ts file")
        self.assertEqual(sorted(set(translated) - texts), [], "in the .ts file, but no longer used")
        for source, target in translated.items():
            self.assertIsNone(target.get("type"), source)
            self.assertTrue(target.text, source)
            self.assertEqual(set(re.findall(r"{\w+}", source)), set(re.findall(r"{\w+}", target.text)), source)


IMPORT = """
import sys, types, importlib.abc
sys.path.insert(0, sys.argv[1])
asked = []
class Anything:
    def __init__(self, *args, **kwargs): pass
    def __getattr__(self, name): return Anything()
    def __call__(self, *args, **kwargs): return args[0] if args else Anything()
class Module(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *args, **kwargs: None})
def same(described): return described
for name in ("vtk", "slicer", "qt", "ctk", "slicer.i18n", "slicer.util", "slicer.ScriptedLoadableModule",
             "slicer.parameterNodeWrapper"):
    sys.modules[name] = Module(name)
sys.modules["slicer.i18n"].tr = same
sys.modules["slicer.i18n"].translate = lambda context, text: text
sys.modules["slicer.parameterNodeWrapper"].parameterPack = same
sys.modules["slicer.parameterNodeWrapper"].parameterNodeWrapper = same
sys.modules["vtk"].calldata_type = lambda kind: same
sys.modules["vtk"].VTK_OBJECT = 0
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        if first in sys.stdlib_module_names or name in ("DCEPerfusionBMD", "DCEPerfusionBMDLib",
                "DCEPerfusionBMDLib.settings", "DCEPerfusionBMDLib.errors"):
            return None
        raise ImportError(f"{name} is imported with the module file")
sys.meta_path.insert(0, Blocked())
before = set(sys.modules)
import DCEPerfusionBMD
print(" ".join(sorted(name for name in set(sys.modules) - before if name.startswith("DCEPerfusionBMD"))))
"""
AT_FILE_SCOPE = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign, ast.Expr)
CALLED_AT_FILE_SCOPE = {"_packs"}


class ImportPurity(unittest.TestCase):
    """Nothing is done when the module file is imported."""

    def test_syntax_tree(self) -> None:
        for statement in ast.parse(FILES[0].read_text(encoding="utf-8")).body:
            self.assertIsInstance(statement, AT_FILE_SCOPE, ast.unparse(statement)[:60])
            if isinstance(statement, ast.Expr):
                self.assertIsInstance(statement.value, ast.Constant, "a call at file scope")
            if isinstance(statement, ast.Assign):
                called = {ast.unparse(node.func) for node in ast.walk(statement) if isinstance(node, ast.Call)}
                self.assertLessEqual(called, CALLED_AT_FILE_SCOPE)

    def test_with_everything_else_blocked(self) -> None:
        run = subprocess.run(
            [sys.executable, "-c", IMPORT, str(MODULE)], capture_output=True, text=True, encoding="utf-8"
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        loaded = "DCEPerfusionBMD DCEPerfusionBMDLib DCEPerfusionBMDLib.errors DCEPerfusionBMDLib.settings"
        self.assertEqual(run.stdout.strip(), loaded)


if __name__ == "__main__":
    unittest.main()
