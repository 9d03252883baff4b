"""Pages of HTML that hold everything they show: no script, no request, every text escaped."""

from __future__ import annotations

import base64
import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..figures import RESEARCH_USE
from ..tables import visible

MOST = 200
"""Rows and points of a list that a page shows; the others are counted, with the file that has them."""

WORDING = (
    "Not FDA-cleared, not CE-marked. T-score categories repeat the numeric rule of WHO and ISCD on values that the "
    "user entered; they are no statement about a person."
)
"""What a category means; stands at the head of reports."""

_LONGEST, _LONGEST_POINT, _NARROW = 300, 1000, 32  # characters
_NUMERIC = re.compile(r"[<\-\u2212+]?\d")
_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #57606a; --paper: #ffffff; --line: #d0d7de;
  --mark: #fff4d6; --link: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --quiet: #a3abb5; --paper: #16191d; --line: #3a414a;
  --mark: #453a17; --link: #8cc2ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1.25rem 4rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", "Microsoft YaHei",
  "PingFang SC", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
p, ul { max-width: 48rem; }
a { color: var(--link); }
nav ul { columns: 2 16rem; padding-left: 1.1rem; }
.use, .todo { background: var(--mark); }
.use { padding: .6rem .8rem; border-left: .25rem solid #c98a00; }
.note, figcaption, caption { color: var(--quiet); font-size: .9rem; }
.wide { overflow-x: auto; margin: 1rem 0 .25rem; }
.wide:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; min-width: 18rem; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line);
  min-width: 6rem; max-width: 26rem; overflow-wrap: break-word; }
thead th { border-bottom: 2px solid var(--quiet); vertical-align: bottom; }
tbody th { font-weight: 600; }
th.n, td.n { text-align: right; min-width: 2.5rem; }
td.n { white-space: nowrap; }
td.todo { padding-left: .4rem; }
figure { margin: 1.5rem 0; }
figure img { display: block; width: 100%; min-width: 40rem; height: auto; background: #fff; padding: .5rem;
  border: 1px solid var(--line); }
.pictures th, .pictures td { padding: .25rem .5rem .25rem 0; min-width: 4rem; }
.pictures td, .pictures thead th + th { width: 13rem; min-width: 7.5rem; }
.pictures img { display: block; width: 100%; height: auto; image-rendering: pixelated; }
.pictures .bar { height: .6rem; margin-top: .2rem; }
.ends { display: flex; justify-content: space-between; font-weight: 400; font-size: .8rem; }
@page { size: A4; margin: 16mm; }
@media print { :root { --ink: #000; --quiet: #333; --paper: #fff; --line: #999; --mark: #fff; }
  figure img { min-width: 0; max-height: 230mm; object-fit: contain; }
  body { max-width: none; padding: 0; font-size: 9.5pt; } nav { display: none; } .wide { overflow: visible; }
  table, .note, figcaption, caption { font-size: 8pt; } h2, caption, thead { break-after: avoid; }
  figure, tr { break-inside: avoid; } tbody tr:first-child { break-before: avoid; }
  thead { display: table-header-group; } }
"""


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes
    ----------
    name : in addresses; letters and hyphens.
    title : its heading.
    content : HTML.
    language : where it is not that of the page, as `zh-Hans`.
    """

    name: str
    title: str
    content: str
    language: str = ""

    @property
    def lang(self) -> str:
        """The attribute, with a blank before it."""
        return f' lang="{self.language}"' if self.language else ""


def escape(text: str, longest: int = _LONGEST) -> str:
    """Text as it may stand in a page or an attribute, on one line; of a longer one the beginning and its length."""
    shown = visible(text)
    if len(shown) > longest:
        shown = f"{shown[:longest]}\N{HORIZONTAL ELLIPSIS} ({len(shown):,} characters)"
    return html.escape(shown, quote=True)


def isolated(text: str, longest: int = _LONGEST) -> str:
    """Escaped text whose direction does not reach what stands beside it."""
    shown = escape(text, longest)
    return shown if shown.isascii() else f"<bdi>{shown}</bdi>"


def paragraph(text: str, kind: str = "") -> str:
    """One paragraph of our own words, of any length."""
    shown = html.escape(visible(text), quote=True)
    return f'<p class="{kind}">{shown}</p>' if kind else f"<p>{shown}</p>"


def points(texts: Sequence[str], file: str = "") -> str:
    """A list of sentences; beyond `MOST` they are counted, and `file` is named."""
    shown = [f"<li>{isolated(text, _LONGEST_POINT)}</li>" for text in texts[:MOST]]
    if len(texts) > MOST:
        shown.append(f"<li>{_more(len(texts) - MOST, file)}</li>")
    return f"<ul>{''.join(shown)}</ul>"


def table(
    caption: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    note: str = "",
    file: str = "",
    marked: int | None = None,
) -> str:
    """A table in a box of its own, in which it scrolls where the page is narrow.

    Parameters
    ----------
    caption, note : above and below.
    headings : of the columns.
    rows : texts; the first of a row names it. Beyond `MOST` rows they are counted, and `file` is named.
    marked : column that waits for the reader to fill it.
    """
    kinds = ["", *map(_kind, list(zip(*rows, strict=True))[1:])] if rows else [""] * len(headings)
    if marked is not None:
        kinds[marked] = ' class="todo"'
    head = "".join(f'<th scope="col"{kind}>{isolated(text)}</th>' for text, kind in zip(headings, kinds, strict=True))
    body = "".join(_row(row, kinds) for row in rows[:MOST])
    if len(rows) > MOST:
        body += f'<tr><td colspan="{len(headings)}">{_more(len(rows) - MOST, file)}</td></tr>'
    below = paragraph(note, "note") if note else ""
    return _tabled(caption, head, body) + below


def figure(source: str, caption: str, description: str) -> str:
    """A picture with its caption, and what it shows for who does not see it.

    Parameters
    ----------
    source : a data URI, as `data_uri` makes it.

    Raises
    ------
    ValueError
        when the source lies elsewhere: a page must not ask for it.
    """
    alt = html.escape(visible(description), quote=True)
    shown = html.escape(visible(caption), quote=True)
    picture = f'<img src="{_embedded(source)}" alt="{alt}">'
    return f"<figure>{_scrolling(picture, caption.partition('.')[0])}<figcaption>{shown}</figcaption></figure>"


def pictures(
    caption: str,
    headings: Sequence[tuple[str, tuple[str, str] | None]],
    rows: Sequence[tuple[str, Sequence[tuple[str, str]]]],
    bar: str,
    note: str = "",
) -> str:
    """A table of pictures in a box of its own.

    Parameters
    ----------
    headings : of the columns; of maps with the lowest and the highest value of the colors.
    rows : name, then data URI and description of each picture.
    bar : data URI of the colors from low to high.
    """
    head = "".join(
        f'<th scope="col">{isolated(title)}{_bar(bar, ends) if ends else ""}</th>' for title, ends in headings
    )
    body = "".join(
        f'<tr><th scope="row">{isolated(name)}</th>{"".join(f"<td>{_image(*cell)}</td>" for cell in cells)}</tr>'
        for name, cells in rows
    )
    below = paragraph(note, "note") if note else ""
    return _tabled(caption, head, body, ' class="pictures"') + below


def _bar(bar: str, ends: tuple[str, str]) -> str:
    low, high = (escape(end) for end in ends)
    return (
        f'<img class="bar" src="{_embedded(bar)}" alt=""><span class="ends"><span>{low}</span>'
        f"<span>{high}</span></span>"
    )


def _image(source: str, description: str) -> str:
    return f'<img src="{_embedded(source)}" alt="{escape(description)}">'


def _embedded(source: str) -> str:
    """The source of a picture as an attribute.

    Raises
    ------
    ValueError
        when it lies elsewhere: a page must not ask for it.
    """
    if not source.startswith("data:image/"):
        raise ValueError(f"the source of a figure must be a data URI, not {source[:30]!r}")
    return html.escape(source, quote=True)


def page(title: str, sections: Sequence[Section], opening: Iterable[str] = ()) -> str:
    """A whole page in English, with the line on research use below its title.

    Parameters
    ----------
    opening : what stands before the first section.
    """
    links = "".join(f'<li{item.lang}><a href="#{item.name}">{escape(item.title)}</a></li>' for item in sections)
    body = "\n".join(
        f'<section id="{item.name}"{item.lang}><h2>{escape(item.title)}</h2>{item.content}</section>'
        for item in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{isolated(title)}</h1>{paragraph(RESEARCH_USE, 'use')}{''.join(opening)}</header>\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
    )


def data_uri(path: Path) -> str:
    """A PNG or SVG file as an address that holds it.

    Parameters
    ----------
    path : of the file, by whose ending its kind is known.

    Returns
    -------
    A `data:` address with its bytes in base64.
    """
    return _data_uri(_TYPES[path.suffix], path.read_bytes())


def png_uri(content: bytes) -> str:
    """A PNG image as an address that holds it."""
    return _data_uri(_TYPES[".png"], content)


def shown_number(value: object) -> str:
    """A number with four digits, empty for NaN; a text as it is."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def joined(texts: Sequence[str]) -> str:
    """An enumeration: `a, b and c`."""
    return f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 else "".join(texts)


def _scrolling(content: str, name: str) -> str:
    """A box that scrolls by itself, with the keyboard too."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{escape(name)}">{content}</div>'


def _tabled(caption: str, head: str, body: str, attributes: str = "") -> str:
    content = f"<caption>{isolated(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return _scrolling(f"<table{attributes}>{content}</table>", caption)


def _row(cells: Sequence[str], kinds: Sequence[str]) -> str:
    others = "".join(f"<td{kind}>{isolated(text)}</td>" for text, kind in zip(cells[1:], kinds[1:], strict=True))
    return f'<tr><th scope="row">{isolated(cells[0])}</th>{others}</tr>'


def _kind(cells: Sequence[str]) -> str:
    """The class of a column of numbers, with a blank before it."""
    there = [cell for cell in cells if cell]
    numbers = there and all(_NUMERIC.match(cell) and len(cell) < _NARROW for cell in there)
    return ' class="n"' if numbers else ""


def _more(count: int, file: str) -> str:
    return f"and {count:,} more{f', in {escape(file)}' if file else ''}"
