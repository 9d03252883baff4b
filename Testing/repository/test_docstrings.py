"""Every public function says what it takes, returns and raises, and every public class what it holds.

Public is what a package lists in `__all__`, and in a module beside the packages every name without an underscore. The
sections are those of numpydoc; whether what they say is true is for people to judge. Read from the source text, so that
nothing need be installed.
"""

from __future__ import annotations

import ast
import re
import unittest
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "DCEPerfusionBMD"
LIBRARY = MODULE / "DCEPerfusionBMDLib"

ROOMS = {
    *("kinetics", "roi", "densitometry", "series", "times", "frames", "conversion", "motion", "study", "result"),
    *("phantom", "dicomio", "seriesfiles", "stacks", "volumefiles", "memory"),
}
"""Rooms that are checked."""
ONE_LINE = {"__init__", "cli", "panel", "desktop", "layout", "headless"}
"""Rooms of which a summary is enough: they serve the terminal and the panel."""
SOURCED = {"kinetics"}
"""Rooms whose functions say where the method comes from, or write it down."""

Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_UNDERLINED = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
_ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*) : \S", re.MULTILINE)


@dataclass(frozen=True)
class Docstring:
    """A docstring, taken apart."""

    summary: str
    sections: dict[str, str]

    @classmethod
    def of(cls, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Docstring:
        before, *rest = _UNDERLINED.split(ast.get_docstring(node) or "")
        return cls(before.partition("\n")[0].strip(), dict(zip(rest[::2], rest[1::2], strict=True)))

    def entries(self, section: str) -> list[str]:
        """The names that a section explains."""
        found = _ENTRY.findall(self.sections.get(section, ""))
        return [name for names in found for name in names.split(", ")]


def arguments(node: ast.FunctionDef | ast.AsyncFunctionDef, bound: bool) -> list[str]:
    """Names of the arguments as numpydoc writes them, without that which is bound."""
    given = node.args
    names = [item.arg for item in (*given.posonlyargs, *given.args)][bound:]
    names += [f"*{given.vararg.arg}"] if given.vararg else []
    names += [item.arg for item in given.kwonlyargs]
    return names + ([f"**{given.kwarg.arg}"] if given.kwarg else [])


def named(section: str, said: list[str], needed: list[str]) -> list[str]:
    """What is wrong with the names in a section."""
    wrong = [f"{section} lacks {name}" for name in needed if name not in said]
    wrong += [f"{section} names {name}, which does not exist" for name in said if name not in needed]
    if not wrong and said != needed:
        wrong = [f"{section} is in another order than the signature"]
    return wrong


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[str]:
    """Names of the decorators, without the modules they come from and their arguments."""
    called = (item.func if isinstance(item, ast.Call) else item for item in node.decorator_list)
    return {ast.unparse(item).rpartition(".")[2] for item in called}


def function_gaps(node: ast.FunctionDef | ast.AsyncFunctionDef, in_class: bool, sourced: bool) -> list[str]:
    """What the docstring of a function or method leaves out."""
    doc, marks = Docstring.of(node), decorators(node)
    if not doc.summary:
        return ["no docstring"]
    is_property = bool(marks & {"property", "cached_property"})
    needed = arguments(node, bound=in_class and "staticmethod" not in marks)
    gaps = named("Parameters", doc.entries("Parameters"), needed)
    returns = ast.unparse(node.returns) if node.returns else "None"
    if (
        needed
        and not is_property
        and returns not in {"None", "NoReturn"}
        and not doc.sections.keys() & {"Returns", "Yields"}
    ):
        gaps.append("no Returns")
    raised = {
        ast.unparse(item.exc.func if isinstance(item.exc, ast.Call) else item.exc).rpartition(".")[2]
        for item in ast.walk(node)
        if isinstance(item, ast.Raise) and item.exc is not None
    }
    said = set(re.findall(r"^\w+", doc.sections.get("Raises", ""), re.MULTILINE))
    gaps += [f"Raises lacks {name}" for name in sorted(raised - said) if name[0].isupper()]
    if sourced and needed and not doc.sections.keys() & {"References", "Notes"}:
        gaps.append("neither References nor Notes")
    return gaps


def class_gaps(node: ast.ClassDef, inherited: set[str]) -> Iterator[tuple[int, str, str]]:
    """Line, name and what is missing, of a class, its fields and its methods; `inherited` methods have a docstring."""
    doc = Docstring.of(node)
    if not doc.summary:
        yield node.lineno, node.name, "no docstring"
    explained = {*doc.entries("Attributes"), *doc.entries("Parameters")}
    fields: list[str] = []
    for item, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name = item.target.id
            if name.startswith("_") or "ClassVar" in ast.unparse(item.annotation):
                continue
            fields.append(name)
            own_line = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if name not in explained and not own_line:
                yield item.lineno, node.name, f"Attributes lacks {name}"
    if "dataclass" in decorators(node):
        properties = {item.name for item in node.body if isinstance(item, Function) and "property" in decorators(item)}
        for name in doc.entries("Attributes"):
            if name not in fields and name not in properties and not node.bases:
                yield node.lineno, node.name, f"Attributes names {name}, which does not exist"
    for item in node.body:
        if not isinstance(item, Function):
            continue
        if item.name == "__init__":
            for gap in named("Parameters", doc.entries("Parameters"), arguments(item, bound=True)):
                yield node.lineno, node.name, gap
        elif not item.name.startswith("_") and not decorators(item) & {"setter", "overload"}:
            if ast.get_docstring(item) is None and item.name in inherited:
                continue
            for gap in function_gaps(item, in_class=True, sourced=False):
                yield item.lineno, f"{node.name}.{item.name}", gap


def gaps(
    source: str, public: set[str] | None, classes: dict[str, ast.ClassDef], room: str
) -> list[tuple[int, str, str]]:
    """Line, name and what is missing, of the public names of a file; `public` of None is all without an underscore."""
    found: list[tuple[int, str, str]] = []
    for node in ast.parse(source).body:
        if not isinstance(node, (*Function, ast.ClassDef)):
            continue
        if node.name.startswith("_") if public is None else node.name not in public:
            continue
        if room in ONE_LINE:
            if not Docstring.of(node).summary:
                found.append((node.lineno, node.name, "no docstring"))
        elif isinstance(node, ast.ClassDef):
            found += class_gaps(node, documented_methods(node, classes))
        else:
            found += [(node.lineno, node.name, gap) for gap in function_gaps(node, False, room in SOURCED)]
    return found


def documented_methods(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> set[str]:
    """Methods of the base classes that have a docstring, which an override need not repeat."""
    found: set[str] = set()
    for base in node.bases:
        above = classes.get(ast.unparse(base).partition("[")[0])
        if above is not None:
            found |= {item.name for item in above.body if isinstance(item, Function) and ast.get_docstring(item)}
            found |= documented_methods(above, classes)
    return found


def public_names(package: Path) -> set[str]:
    """What `__all__` of a package lists."""
    for node in ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    raise AssertionError(f"{package.name}/__init__.py has no __all__")


class TestDocstrings(unittest.TestCase):
    """The library on disk."""

    def test_sections(self) -> None:
        sources = {path: path.read_text(encoding="utf-8") for path in sorted(LIBRARY.rglob("*.py"))}
        self.assertTrue(sources, f"no library in {LIBRARY}")
        trees = (ast.parse(source) for source in sources.values())
        classes = {node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        found = []
        for path, source in sources.items():
            in_library = path.relative_to(LIBRARY)
            room = in_library.parts[0].removesuffix(".py")
            if room not in ROOMS:
                continue
            public = public_names(LIBRARY / room) if len(in_library.parts) > 1 else None
            for line, name, gap in gaps(source, public, classes, room):
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
        ):
            with self.subTest(expected=expected):
                self.assertIn(old, GOOD)
                self.assertIn(expected, self.of(GOOD.replace(old, new, 1)))

    def test_constructor(self) -> None:
        source = 'class Model:\n    """A model."""\n\n    def __init__(self, delay_s: float) -> None:\n        pass\n'
        self.assertEqual(self.of(source), ["Model: Parameters lacks delay_s"])

    def test_a_summary_is_enough_of_the_panel(self) -> None:
        self.assertEqual(self.of('def shown(value: float) -> str:\n    """As text."""\n', "panel"), [])
        self.assertEqual(self.of("def shown(value: float) -> str:\n    return ''\n", "panel"), ["shown: no docstring"])


if __name__ == "__main__":
    unittest.main()
