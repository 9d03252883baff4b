"""Figures of a cohort: what is drawn, in which size and colors, the same for the same numbers."""

import dataclasses
import itertools
import re
import struct
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path
from unittest import mock

import numpy as np
from DCEPerfusionBMDLib.errors import Cancelled, InputError
from DCEPerfusionBMDLib.export.cohortreport import cohort_report
from DCEPerfusionBMDLib.figures import cohort
from DCEPerfusionBMDLib.figures.cohort import cohort_figures
from samplecohort import sample_result
from scipy import stats

try:
    import matplotlib
except ImportError:
    matplotlib = None

NAMES = ["figure1", "figure2", "figure3", "boxes_by_class", "boxes_by_age", "roc", "bland_altman_ktrans_per_min"]
HOSTILE = '<script>alert(1)</script> $\\frac{a}{b}$ --> \x00\u202e\u5f20\u4e09 & "q"'


def comments(svg: Path) -> str:
    """What is written in an SVG file; matplotlib says each text in a comment beside its outlines."""
    return "\n".join(re.findall(r"<!--(.*?)-->", svg.read_text(encoding="utf-8"), re.DOTALL))


@unittest.skipIf(matplotlib is None, "matplotlib is absent")
class Figures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.result = sample_result()
        cls.messages = []
        cls.paths = cohort_figures(cls.result, cls.folder, lambda f, m: cls.messages.append((f, m)) or True)

    def drawn(self, result):
        """The figures as matplotlib has them, by name, drawn but not written."""
        found = {}

        def keep(figure, folder, name):
            figure.canvas.draw()
            found[name] = figure
            return []

        with mock.patch.object(cohort, "save", keep):
            cohort_figures(result, self.folder)
        return found

    def test_every_figure_is_there_as_png_and_svg_180_mm_wide(self):
        self.assertEqual([path.name for path in self.paths], [f"{n}.{e}" for n in NAMES for e in ("png", "svg")])
        for path in self.paths:
            if path.suffix == ".png":
                width = struct.unpack(">I", path.read_bytes()[16:20])[0]
                self.assertAlmostEqual(width / 150 * 25.4, 180, delta=0.3)
            else:
                root = ElementTree.parse(path).getroot()
                self.assertAlmostEqual(float(root.get("width").removesuffix("pt")) / 72 * 25.4, 180, delta=0.1)
        self.assertEqual([message for _, message in self.messages], [f"Drawing {name}" for name in NAMES])

    def test_the_same_numbers_give_the_same_bytes(self):
        with tempfile.TemporaryDirectory() as other:
            for first, second in zip(self.paths, cohort_figures(sample_result(), Path(other)), strict=True):
                self.assertEqual(first.read_bytes(), second.read_bytes(), first.name)

    def test_correlations_stand_in_the_panels(self):
        written = comments(self.folder / "figure1.svg")
        numbers = self.result.cohort.numbers
        for name in ("ktrans_per_min", "kep_per_min", "ve"):
            has = np.isfinite(numbers[name])
            truth = stats.pearsonr(numbers["age_years"][has], numbers[name][has])
            low, high = truth.confidence_interval()
            wanted = f"r = {truth.statistic:.3f} [{low:.3f}, {high:.3f}]".replace("-", "\u2212")
            self.assertIn(wanted, written)
            self.assertIn(f"n = {has.sum()}", written)
        for wanted in ("Ktrans (1/min)", "ve (fraction)", "Age (years)", "osteoporosis"):
            self.assertIn(wanted, written)
        self.assertIn("not measured", comments(self.folder / "figure2.svg"))
        self.assertIn("Lumbar BMD (g/cm\u00b2)", comments(self.folder / "figure3.svg"))
        counts = comments(self.folder / "boxes_by_class.svg")
        for group, values in self.result.boxes[0].values.items():
            self.assertIn(str(values.size), counts, group)

    def test_texts_are_legible_inside_the_page_and_apart(self):
        for size in (197, 100_000):
            for name, figure in self.drawn(sample_result(size)).items():
                page, shown = figure.bbox, self.shown(figure)
                for text, box in shown:
                    where = f"{name} {size} {text.get_text()!r}"
                    self.assertGreaterEqual(text.get_fontsize(), 7, where)
                    self.assertTrue(box.x0 >= -1 and box.y0 >= -1, where)
                    self.assertTrue(box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1, where)
                for (one, a), (other, b) in combinations(shown, 2):
                    if one.get_rotation() in (0, 90) and other.get_rotation() in (0, 90):
                        across = min(a.x1, b.x1) - max(a.x0, b.x0)
                        down = min(a.y1, b.y1) - max(a.y0, b.y0)
                        said = f"{name} {size}: {one.get_text()!r} over {other.get_text()!r}"
                        self.assertFalse(across > 1 and down > 1, said)

    @staticmethod
    def shown(figure):
        """Texts that are drawn; labels of ticks beyond the limits of an axis exist, but are not."""
        every = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
        drawn = {tick.label1 for axis in every for tick in axis._update_ticks()}
        labels = {label for axis in every for tick in axis.majorTicks for label in (tick.label1, tick.label2)}
        texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_text() and text.get_visible()]
        return [(text, text.get_window_extent()) for text in texts if text in drawn or text not in labels]

    def test_a_class_has_one_color_in_all_figures(self):
        drawn = self.drawn(self.result)
        normal = drawn["figure1"].axes[0].collections[0].get_facecolor()[0][:3]
        line = drawn["figure2"].axes[0].lines[-1].get_color()
        np.testing.assert_allclose(normal, matplotlib.colors.to_rgb(line))
        np.testing.assert_allclose(normal, drawn["boxes_by_class"].axes[2].collections[0].get_facecolor()[0][:3])

    def test_many_subjects_are_thinned_for_drawing_alone(self):
        size = 20_000
        result = sample_result(size)
        drawn = self.drawn(result)
        panel = drawn["figure1"].axes[0]
        points = sum(len(part.get_offsets()) for part in panel.collections if part.get_rasterized())
        self.assertEqual(points, 5_000)
        self.assertIn("5,000 of 20,000 subjects drawn", panel.get_title(loc="left"))
        self.assertIn("n = 20,000", panel.get_title(loc="left"))
        np.testing.assert_array_equal(panel.lines[0].get_ydata(), result.scatters[0].line_y)
        box = drawn["boxes_by_class"].axes[0]
        medians = sorted(float(np.median(values)) for values in result.boxes[0].values.values())
        flat = [
            line.get_ydata() for line in box.lines if len(set(line.get_ydata())) == 1 and line.get_linewidth() == 1.4
        ]
        np.testing.assert_allclose(sorted(y[0] for y in flat), medians)

    def test_ve_is_drawn_in_the_unit_of_the_settings(self):
        result = sample_result(ve_unit="mL/100mL")
        panel = self.drawn(result)["figure1"].axes[2]
        self.assertEqual(panel.get_ylabel(), "ve (mL/100 mL)")
        drawn = np.concatenate([part.get_offsets()[:, 1] for part in panel.collections if len(part.get_offsets()) > 1])
        self.assertAlmostEqual(drawn.max(), 100 * np.nanmax(result.cohort.numbers["ve"]), places=9)
        np.testing.assert_allclose(panel.lines[0].get_ydata(), 100 * result.scatters[2].line_y)

    def test_hostile_names_of_readings_are_drawn_as_they_are(self):
        agreement = dataclasses.replace(self.result.agreements[0], first=HOSTILE, caption=HOSTILE * 20)
        result = dataclasses.replace(self.result, scatters=(), curves=(), boxes=(), rocs=(), agreements=(agreement,))
        with tempfile.TemporaryDirectory() as folder:
            paths = cohort_figures(result, Path(folder))
            self.assertEqual([path.stem for path in paths], ["bland_altman_ktrans_per_min"] * 2)
            root = ElementTree.parse(paths[1]).getroot()
            self.assertEqual([part.tag for part in root.iter() if str(part.tag).endswith("}script")], [])

    def test_every_pair_of_readings_has_a_panel(self):
        """Of three readings the figure has three panels, and the caption of the report all of their numbers."""
        first = self.result.agreements[0]
        pairs = (("A", "B"), ("A", "C"), ("B", "C"))
        agreements = tuple(
            dataclasses.replace(first, first=a, second=b, caption=f"{a} less {b}: bias {n}.5")
            for n, (a, b) in enumerate(pairs)
        )
        result = dataclasses.replace(self.result, agreements=agreements)
        figure = self.drawn(result)["bland_altman_ktrans_per_min"]
        self.assertEqual(len(figure.axes), 3)
        for n, (axis, (a, b)) in enumerate(zip(figure.axes, pairs, strict=True)):
            self.assertIn(f"bias {n}.5", axis.get_title(loc="left"))
            self.assertTrue(axis.get_ylabel().startswith(f"{a} \u2212 {b}"))
        page = cohort_report(result, {"bland_altman_ktrans_per_min": "data:image/png;base64,"}, {})
        for n, (a, b) in enumerate(pairs):
            self.assertIn(f"{a} less {b}: bias {n}.5.", page)

    def test_few_panels_fill_the_page(self):
        result = dataclasses.replace(self.result, curves=self.result.curves[:2], rocs=self.result.rocs[:1])
        for name, count in (("figure2", 2), ("roc", 1)):
            figure = self.drawn(result)[name]
            self.assertEqual(len(figure.axes), count)
            self.assertGreater(max(axis.get_position().x1 for axis in figure.axes), 0.9)

    def test_one_subject_has_a_point_and_neither_box_nor_band(self):
        part = dataclasses.replace(
            self.result.boxes[0], values={"normal": np.array([0.5]), "osteoporosis": np.array([0.2, 0.3, 0.6])}
        )
        nothing = np.full(self.result.curves[0].mean.size, np.nan)
        alone = dataclasses.replace(self.result.curves[0], count=1, low=nothing, high=nothing)
        result = dataclasses.replace(self.result, boxes=(part,), curves=(alone,))
        drawn = self.drawn(result)
        axis = drawn["boxes_by_class"].axes[0]
        self.assertEqual([len(points.get_offsets()) for points in axis.collections], [1, 3])
        self.assertTrue(all(min(line.get_xdata()) > 0.5 for line in axis.lines))
        self.assertIn("without a band", drawn["figure2"].get_supxlabel())
        self.assertIn("without a band", cohort_report(result, {"figure2": "data:image/png;base64,"}, {}))
        both = dataclasses.replace(result, curves=(alone, self.result.curves[1]))
        self.assertIn("which one subject does not have", self.drawn(both)["figure2"].get_supxlabel())

    def test_nine_age_groups_have_labels_apart(self):
        random = np.random.default_rng(0)
        part = dataclasses.replace(
            self.result.boxes[-1], values={f"{10 * n}~": random.normal(size=100 + n) for n in range(9)}
        )
        figure = self.drawn(dataclasses.replace(self.result, boxes=(part,) * 3))["boxes_by_age"]
        labels = figure.axes[0].get_xticklabels()
        if labels[0].get_rotation() == 0:
            boxes = [label.get_window_extent() for label in labels]
            self.assertTrue(all(a.x1 + 2 < b.x0 for a, b in itertools.pairwise(boxes)))

    def test_no_data_no_figure_and_cancelling(self):
        empty = dataclasses.replace(self.result, scatters=(), curves=(), boxes=(), rocs=(), agreements=())
        self.assertEqual(cohort_figures(empty, self.folder), [])
        with self.assertRaises(Cancelled):
            cohort_figures(self.result, self.folder, lambda fraction, message: False)


class WithoutMatplotlib(unittest.TestCase):
    def test_is_said_in_one_line(self):
        with (
            mock.patch.dict(sys.modules, {"matplotlib": None}),
            self.assertRaisesRegex(InputError, "^figures need matplotlib, which is not installed$"),
        ):
            cohort_figures(sample_result(), Path("unused"))


if __name__ == "__main__":
    unittest.main()
