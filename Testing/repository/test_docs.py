"""The pages hold together: they build without a warning, lead everywhere, and name what there is in the code."""

import importlib
import importlib.util
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import get_args, get_type_hints
from urllib.parse import urlsplit

from DCEPerfusionBMDLib import batch, densitometry, kinetics, roi, statistics
from support import REPOSITORY, needs

DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.glob("*.md")])
OURS = re.compile(
    r"https://(?:github\.com/DCEPerfusionBMD/SlicerDCEPerfusionBMD/(?:blob|tree)"
    r"|raw\.githubusercontent\.com/DCEPerfusionBMD/SlicerDCEPerfusionBMD)/main/(.*)"
)
HOSTS = {
    "dicom.nema.org",
    "doi.org",
    "github.com",
    "iscd.org",
    "json-schema.org",
    "keepachangelog.com",
    "pingouin-stats.org",
    "pypi.org",
    "qibawiki.rsna.org",
    "raw.githubusercontent.com",
    "scipy.org",
    "semver.org",
    "sites.duke.edu",
    "www.dclunie.com",
    "www.itl.nist.gov",
    "www.r-project.org",
    "www.slicer.org",
    "www.statsmodels.org",
}
"""Whom the pages may send their readers to."""


def text_of(page: Path) -> str:
    """The text of a page without its code."""
    text = re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"))
    return re.sub(r"`[^`\n]*`", "", text)


def links(page: Path) -> list[str]:
    """Targets of links and images."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"\s*\n\s*", " ", text_of(page)))


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as on GitHub."""
    text = re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for title in re.findall(r"(?m)^#+ +(.*)$", text):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


class Links(unittest.TestCase):
    def test_files_and_headings_are_there(self):
        for page in PAGES:
            for link in links(page):
                own = OURS.fullmatch(link)
                if urlsplit(link).scheme and not own:
                    continue
                path, _, anchor = (own[1] if own else link).partition("#")
                base = REPOSITORY if own else page.parent
                with self.subTest(page=page.name, link=link):
                    target = (base / path).resolve() if path else page
                    self.assertTrue(target.is_relative_to(REPOSITORY) and target.exists(), "there is no such file")
                    if anchor:
                        self.assertIn(anchor, anchors(target))

    def test_nobody_is_sent_to_unknown_places(self):
        for page in PAGES:
            for url in re.findall(r"https?://[^\s)>\"'`]+", text_of(page)):
                with self.subTest(page=page.name, url=url):
                    self.assertIn(urlsplit(url).hostname, HOSTS)

    def test_the_readme_holds_outside_of_the_repository(self):
        for link in links(REPOSITORY / "README.md"):
            self.assertTrue(link.startswith("https://"), f"{link} would be broken on PyPI")

    def test_anchors_are_those_of_github(self):
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.md"
            page.write_text("# One, two (`three_4`)\n\n## A\n\n## A\n\n```text\n# none\n```\n", encoding="utf-8")
            self.assertEqual(anchors(page), {"one-two-three_4", "a", "a-1"})


class Contents(unittest.TestCase):
    def test_every_page_is_in_the_contents(self):
        found, todo = set(), ["index"]
        while todo:
            name = todo.pop()
            for page in (DOCS / f"{name}.md", DOCS / f"{name}.rst"):
                if page.exists() and name not in found:
                    found.add(name)
                    todo += self._named(page)
        there = {str(path.relative_to(DOCS).with_suffix("").as_posix()) for path in DOCS.rglob("*.md")}
        there |= {str(path.relative_to(DOCS).with_suffix("").as_posix()) for path in DOCS.rglob("*.rst")}
        self.assertEqual(there - found, set())
        self.assertGreater(len(found), 20)

    @staticmethod
    def _named(page: Path) -> list[str]:
        """Pages in the tables of contents of a page."""
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"(?ms)^```\{toctree\}(.*?)^```", text) + re.findall(r"(?ms)^\.\. toctree::(.*)", text)
        folder = page.parent.relative_to(DOCS)
        return [(folder / name).as_posix() for block in blocks for name in re.findall(r"(?m)^ *([\w/-]+)$", block)]


class Build(unittest.TestCase):
    def test_without_a_warning(self):
        for name in ("sphinx", "myst_parser", "furo", "numpydoc"):
            needs(name)
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-m",
                "sphinx",
                "-W",
                "--keep-going",
                "-q",
                DOCS,
                folder,
                "-d",
                f"{folder}/.trees",
            ]
            done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            method = (Path(folder) / "method.html").read_text(encoding="utf-8")
            link = 'href="api/kinetics.html#DCEPerfusionBMDLib.kinetics.parker_blood_concentration"'
            self.assertTrue(link in method, "functions named on the page lead nowhere")
            self.assertFalse('src="http' in method, "the page asks the network for something")
            api = "".join(path.read_text(encoding="utf-8") for path in (Path(folder) / "api").glob("*.html"))
        for room in (kinetics, roi, densitometry, statistics):
            for name in room.__all__:
                if callable(getattr(room, name)):
                    self.assertTrue(f'id="{room.__name__}.{name}"' in api, f"{room.__name__}.{name} is not described")


class Method(unittest.TestCase):
    def setUp(self):
        text = (DOCS / "method.md").read_text(encoding="utf-8")
        self.names = set(re.findall(r"`([a-z]+\.[A-Za-z_]\w*)`", text))

    def test_what_it_names_is_there(self):
        self.assertGreater(len(self.names), 80)
        for name in self.names:
            with self.subTest(name=name):
                room, thing = name.split(".")
                self.assertTrue(hasattr(importlib.import_module(f"DCEPerfusionBMDLib.{room}"), thing))

    def test_it_names_every_model_and_input(self):
        for name in kinetics.__all__:
            thing = getattr(kinetics, name)
            if isinstance(thing, type) and issubclass(thing, kinetics.Model):
                self.assertIn(f"kinetics.{name}", self.names)
        for entry in kinetics.POPULATION_INPUTS.values():
            self.assertIn(f"kinetics.{entry.function.__name__}", self.names)

    def test_its_constants_are_those_of_the_code(self):
        text = (DOCS / "method.md").read_text(encoding="utf-8")
        for agent in kinetics.agent_names():
            values = [kinetics.relaxivity_per_s_mM(agent, field)[0] for field in (1.5, 3.0)]
            self.assertIn(f"| {agent} | {values[0]:.1f} | {values[1]:.1f} |", text)


class Codes(unittest.TestCase):
    def setUp(self):
        self.text = (DOCS / "codes.md").read_text(encoding="utf-8")

    def test_every_code_has_its_meaning(self):
        for status in kinetics.FitStatus:
            self.assertIn(f"| {status.value} | {status.label} | {status.meaning} |", self.text)
        for status in kinetics.T1Status:
            self.assertIn(f"| {status.value} | {status.name} | {status.meaning} |", self.text)
        for fate in roi.Fate:
            self.assertIn(f"| {fate.value} | {fate.reason} |", self.text)
        for kind in kinetics.CurveType:
            self.assertIn(f"| {kind.name} | {kind.meaning} |", self.text)

    def test_every_category_stage_and_grade_is_there(self):
        for category in densitometry.Category:
            self.assertIn(category.value, self.text)
        for stage in batch.STAGES:
            self.assertIn(f"| {stage} |", self.text)
        for grade in get_args(get_type_hints(kinetics.Finding)["grade"]):
            self.assertIn(f"| {grade} |", self.text)
        for status in (0, 1, 2, 130):
            self.assertIn(f"| {status} |", self.text)
        self.assertIn(f"end with {batch.OUT_OF_MEMORY} when memory ran out and with {batch.STOPPED}", self.text)

    def test_every_topic_of_a_finding_is_there(self):
        source = Path(importlib.util.find_spec("DCEPerfusionBMDLib.kinetics.findings").origin)
        text = source.read_text(encoding="utf-8")
        topics = set(re.findall(r'Finding\(\s*"\w+",\s*"([a-z -]+)"', text)) | set(
            re.findall(r'topic.* = "([a-z ]+)"', text)
        )
        self.assertGreater(len(topics), 10)
        for topic in topics:
            self.assertIn(f"| {topic} |", self.text)


if __name__ == "__main__":
    unittest.main()
