"""Every public function says what it takes, returns and raises, and every public class what it holds.

Public is what a package lists in `__all__`, every name without an underscore in a module beside the packages, and the
logic of the Slicer module. The sections are those of numpydoc; whether what they say is true is for people to judge.
Read from the source text, so that nothing need be installed.
"""

from __future__ import annotations

import ast
import re
import unittest
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "DCEPerfusionBMD"
LIBRARY = MODULE / "DCEPerfusionBMDLib"

SUMMARY_ONLY = {"__init__", "cli", "panel", "desktop", "layout", "headless"}
"""Rooms of which a summary is enough: they serve the terminal and the panel."""
SOURCED = {"kinetics", "statistics"}
"""Rooms whose functions say where the method comes from, or write it down,"""
PLAIN = {"audit_page", "audit_tables", "complete_rows", "findings_text", "p_text", "split"}
"""but for these, which sort or print."""

_UNDERLINED = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
_ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*) : \S", re.MULTILINE)


@dataclass(frozen=True)
class Docstring:
    """A docstring, taken apart."""

    summary: str
    sections: Mapping[str, str]

    @classmethod
    def of(cls, node: ast.FunctionDef | ast.ClassDef) -> Docstring:
        before, *rest = _UNDERLINED.split(ast.get_docstring(node) or "")
        return cls(before.partition("\n")[0].strip(), dict(zip(rest[::2], rest[1::2], strict=True)))

    def explained(self, section: str) -> list[str]:
        """The names that a section explains."""
        found = _ENTRY.findall(self.sections.get(section, ""))
        return [name for names in found for name in names.split(", ")]

    def wrong_parameters(self, needed: list[str]) -> list[str]:
        """What is wrong with the section Parameters."""
        said = self.explained("Parameters")
        wrong = [f"Parameters lacks {name}" for name in needed if name not in said]
        wrong += [f"Parameters names {name}, which does not exist" for name in said if name not in needed]
        if not wrong and said != needed:
            wrong = ["Parameters is in another order than the signature"]
        return wrong

    def missing_errors(self, node: ast.FunctionDef) -> list[str]:
        """What a function raises itself and the section Raises does not name; errors with an underscore stay inside."""
        said = re.findall(r"^\w+", self.sections.get("Raises", ""), re.MULTILINE)
        raised = (item.exc for item in ast.walk(node) if isinstance(item, ast.Raise) and item.exc is not None)
        names = {ast.unparse(error.func if isinstance(error, ast.Call) else error) for error in raised}
        return [f"Raises lacks {name}" for name in sorted(names - {*said}) if name[0].isupper()]


def arguments(node: ast.FunctionDef, bound: bool) -> list[str]:
    """Names of the arguments as numpydoc writes them, without the one that is bound."""
    given = node.args
    names = [item.arg for item in (*given.posonlyargs, *given.args)][bound:]
    names += [f"*{given.vararg.arg}"] if given.vararg else []
    names += [item.arg for item in given.kwonlyargs]
    return names + ([f"**{given.kwarg.arg}"] if given.kwarg else [])


def decorators(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    """Names of the decorators, without the modules they come from and their arguments."""
    called = (item.func if isinstance(item, ast.Call) else item for item in node.decorator_list)
    return {ast.unparse(item).rpartition(".")[2] for item in called}


def function_gaps(node: ast.FunctionDef, in_class: bool, sourced: bool) -> list[str]:
    """What the docstring of a function or method leaves out."""
    doc, marks = Docstring.of(node), decorators(node)
    if not doc.summary:
        return ["no docstring"]
    needed = arguments(node, bound=in_class and "staticmethod" not in marks)
    found = doc.wrong_parameters(needed) + doc.missing_errors(node)
    gives = node.returns is not None and ast.unparse(node.returns) not in {"None", "NoReturn"}
    if needed and gives and not doc.sections.keys() & {"Returns", "Yields"}:
        found.append("no Returns")
    if needed and sourced and node.name not in PLAIN and not doc.sections.keys() & {"References", "Notes"}:
        found.append("neither References nor Notes")
    return found


def says_itself(field: ast.AnnAssign, after: ast.stmt | None) -> bool:
    """Whether a field is explained where it stands: by a line below it, or by a text that its default carries."""
    if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
        return True
    texts = field.value.args if isinstance(field.value, ast.Call) else []
    return any(isinstance(text, ast.Constant) and " " in str(text.value) for text in texts)


def class_gaps(node: ast.ClassDef, inherited: set[str]) -> Iterator[tuple[int, str, str]]:
    """Line, name and what is missing, of a class, its fields and its methods; `inherited` methods have a docstring."""
    doc = Docstring.of(node)
    if not doc.summary:
        yield node.lineno, node.name, "no docstring"
    attributes = doc.explained("Attributes")
    names = {ast.unparse(item.target) for item in node.body if isinstance(item, ast.AnnAssign)}
    names |= {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    if "dataclass" in decorators(node) and not node.bases:
        for name in (name for name in attributes if name not in names):
            yield node.lineno, node.name, f"Attributes names {name}, which does not exist"
    for item, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign):
            name = ast.unparse(item.target)
            own = not name.startswith("_") and "ClassVar" not in ast.unparse(item.annotation)
            if own and name not in attributes and not says_itself(item, after):
                yield item.lineno, node.name, f"Attributes lacks {name}"
        elif isinstance(item, ast.FunctionDef) and item.name in {"__init__", "__post_init__"}:
            given = doc.wrong_parameters(arguments(item, bound=True)) if item.name == "__init__" else []
            for gap in given + doc.missing_errors(item):
                yield node.lineno, node.name, gap
        elif isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
            if decorators(item) & {"setter", "overload"} or (item.name in inherited and not ast.get_docstring(item)):
                continue
            for gap in function_gaps(item, in_class=True, sourced=False):
                yield item.lineno, f"{node.name}.{item.name}", gap


Classes = Mapping[str, ast.ClassDef]


def documented_methods(node: ast.ClassDef, classes: Classes) -> set[str]:
    """Methods of the base classes that have a docstring, which an override need not repeat."""
    found: set[str] = set()
    for above in (classes[name] for name in map(ast.unparse, node.bases) if name in classes):
        found |= {item.name for item in above.body if isinstance(item, ast.FunctionDef) and ast.get_docstring(item)}
        found |= documented_methods(above, classes)
    return found


def gaps(source: str, public: set[str] | None, classes: Classes, room: str) -> Iterator[tuple[int, str, str]]:
    """Line, name and what is missing, of the public names of a file; None stands for all without an underscore."""
    for node in ast.parse(source).body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        if node.name.startswith("_") if public is None else node.name not in public:
            continue
        if room in SUMMARY_ONLY:
            if not Docstring.of(node).summary:
                yield node.lineno, node.name, "no docstring"
        elif isinstance(node, ast.ClassDef):
            yield from class_gaps(node, documented_methods(node, classes))
        else:
            for gap in function_gaps(node, in_class=False, sourced=room in SOURCED):
                yield node.lineno, node.name, gap


def public_names(path: Path) -> set[str] | None:
    """What the package of a file lists in `__all__`, the logic for the file of the Slicer module, else None."""
    if path.parent == MODULE:
        return {"DCEPerfusionBMDLogic"}
    if path.parent == LIBRARY:
        return None
    for node in ast.parse((path.parent / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


class TestDocstrings(unittest.TestCase):
    """The files on disk."""

    def test_sections(self) -> None:
        paths = [MODULE / "DCEPerfusionBMD.py", *sorted(LIBRARY.rglob("*.py"))]
        sources = {path: path.read_text(encoding="utf-8") for path in paths}
        trees = map(ast.parse, sources.values())
        classes = {node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        found = []
        for path, source in sources.items():
            room = path.relative_to(LIBRARY if LIBRARY in path.parents else MODULE).parts[0].removesuffix(".py")
            for line, name, gap in gaps(source, public_names(path), classes, room):
                found.append(f"{path.relative_to(MODULE).as_posix()}:{line}: {name}: {gap}")
        if found:
            self.fail("\n" + "\n".join(found))


GOOD = '''
@dataclass
class Curve:
    """A curve.

    Attributes
    ----------
    times_s : (n_times,).
    """

    times_s: FloatArray
    name: str
    """What it is called."""
    span: float = described("how long it is", "s")

    @property
    def span_s(self) -> float:
        """Last less first time."""

    def at(self, time_s: float) -> float:
        """The value at a time.

        Parameters
        ----------
        time_s : within the span.

        Returns
        -------
        In mM.

        Raises
        ------
        ValueError
            when it lies outside.
        """
        raise ValueError(time_s)


def halved(values: FloatArray, *others: float, of: int = 0, **rest: float) -> FloatArray:
    """Half of it.

    Parameters
    ----------
    values : (n,) in mM.
    *others, of : too.
    **rest : as well.

    Returns
    -------
    (n,) in mM.

    References
    ----------
    A book, page 1.
    """


class Smooth(Curve):
    """Overrides need not say it again."""

    def at(self, time_s: float) -> float:
        return 0.0
'''


class TestRules(unittest.TestCase):
    """What is there to be caught is caught, shown on a small source."""

    @staticmethod
    def of(source: str, room: str = "kinetics") -> list[str]:
        classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
        return [f"{name}: {gap}" for _, name, gap in gaps(source, None, classes, room)]

    def test_complete(self) -> None:
        self.assertEqual(self.of(GOOD), [])

    def test_gaps(self) -> None:
        for old, new, expected in (
            ('"""Half of it.', '"""', "halved: no docstring"),
            ("    values : (n,) in mM.\n", "", "halved: Parameters lacks values"),
            ("*others, of :", "*others :", "halved: Parameters lacks of"),
            ("    **rest : as", "    **remainder : as", "halved: Parameters names **remainder, which does not exist"),
            (
                "    values : (n,) in mM.\n    *others, of : too.\n",
                "    *others, of : too.\n    values : (n,) in mM.\n",
                "halved: Parameters is in another order than the signature",
            ),
            ("    Returns\n    -------\n    (n,) in mM.\n", "", "halved: no Returns"),
            ("    References\n    ----------\n", "", "halved: neither References nor Notes"),
            ("        ValueError\n", "        KeyError\n", "Curve.at: Raises lacks ValueError"),
            ('    """A curve.\n', '    """', "Curve: no docstring"),
            ("    times_s : (n_times,).\n", "    values : (n_times,).\n", "Curve: Attributes lacks times_s"),
            ('    """What it is called."""\n', "", "Curve: Attributes lacks name"),
            ('        """Last less first time."""\n', "        return 0\n", "Curve.span_s: no docstring"),
            ("class Smooth(Curve)", "class Smooth", "Smooth.at: no docstring"),
            (
                '    span: float = described("how long it is", "s")\n',
                "    span: float = 0.0\n",
                "Curve: Attributes lacks span",
            ),
        ):
            with self.subTest(expected=expected):
                self.assertIn(old, GOOD)
                self.assertIn(expected, self.of(GOOD.replace(old, new, 1)))

    def test_constructor(self) -> None:
        source = 'class Model:\n    """A model."""\n    def __init__(self, delay_s: float):\n        raise ValueError\n'
        self.assertEqual(self.of(source), ["Model: Parameters lacks delay_s", "Model: Raises lacks ValueError"])

    def test_a_summary_is_enough_of_the_panel(self) -> None:
        self.assertEqual(self.of('def shown(value: float) -> str:\n    """As text."""\n', "panel"), [])
        self.assertEqual(self.of("def shown(value: float) -> str:\n    return ''\n", "panel"), ["shown: no docstring"])


if __name__ == "__main__":
    unittest.main()
