"""How Sphinx makes the site of these pages: `make docs`."""

import re
import types
from pathlib import Path

import DCEPerfusionBMDLib
from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml
from pygments.lexers.special import TextLexer

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/DCEPerfusionBMD/SlicerDCEPerfusionBMD"
WHOLE = {"contributing": "CONTRIBUTING.md", "changes": "CHANGELOG.md"}
"""Pages that are files outside of docs/."""
OPTIONAL = ("validation", "minimum", "reading-dicom", "large-batches", "release-checklist")
"""Pages that are measured or kept apart: they are in the table of contents where they are there."""
API_ROOMS = "conversion|densitometry|kinetics|motion|phantom|roi|settings|statistics|study"

project = "DCEPerfusionBMD"
author = "DCEPerfusionBMD developers"
version = release = DCEPerfusionBMDLib.__version__
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["*.py"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"DCE Perfusion BMD {release}"
html_theme_options = {"source_repository": REPOSITORY, "source_branch": "main", "source_directory": "docs/"}
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_mock_imports = ["slicer", "vtk", "matplotlib", "highdicom", "SimpleITK", "distributed"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
default_role = "py:obj"
numpydoc_show_class_members = False


def _text(_app, name, source):
    """Links that hold on GitHub made to hold on the site, and names of functions into links."""
    if name in WHOLE:
        source[0] = (ROOT / WHOLE[name]).read_text(encoding="utf-8").replace("](docs/", "](")
    pages = {file: f"{page}.md" for page, file in WHOLE.items()} | {"README.md": "index.md"}
    source[0] = re.sub(
        r"(?<!!)(\[[^]]*\]\()\.\./([^)#]+)",
        lambda m: m[1] + (pages.get(m[2]) or f"{REPOSITORY}/blob/main/{m[2]}"),
        source[0],
    )
    for page in OPTIONAL:
        if name == "index" and not (ROOT / "docs" / f"{page}.md").exists():
            source[0] = source[0].replace(f"\n{page}\n", "\n")
    source[0] = re.sub(rf"(?<!`)`((?:{API_ROOMS})(?:\.\w+)+)`", r"{py:obj}`\1 <DCEPerfusionBMDLib.\1>`", source[0])


def _docstring(_app, _what, _name, _thing, _options, lines):
    """Docstrings as numpydoc wants them: signs are no markup; what follows a colon is a description, not a type."""
    section, kept = "", []
    for line, rule in zip(lines, [*lines[1:], ""], strict=False):
        if set(rule) == {"-"} and len(rule) == len(line):
            section = line
        line = re.sub(r"([|*]|(?<=\w)_\b)", r"\\\1", line)
        entry = re.fullmatch(r"([\w, ]+) : (.*)", line)
        if entry and section in ("Parameters", "Attributes"):
            kept += [entry[1], f"    {entry[2]}"]
        elif section == "Returns" and line[:1].strip("- ") and kept[-1][:1].strip("- ") and kept[-1] != section:
            kept[-1] += f" {line}"
        else:
            kept.append(line)
    lines[:] = kept


def _skipped(_app, _what, _name, thing, _skip, _options):
    """Names of types have no signature, which numpydoc stumbles over."""
    return True if isinstance(thing, types.GenericAlias) else None


def _formula(writer, node):
    """MathML, which browsers show without a script from the network."""
    block = node.tagname == "math_block"
    formula = tex2mathml(node.astext(), as_block=block)
    writer.body.append(f'<div style="padding: 0.5em 0">{formula}</div>' if block else formula)
    raise SkipNode


def setup(app):
    app.add_lexer("csv", TextLexer)
    app.add_html_math_renderer("mathml", (_formula, None), (_formula, None))
    app.connect("source-read", _text)
    app.connect("autodoc-process-docstring", _docstring, priority=100)
    app.connect("autodoc-skip-member", _skipped)
