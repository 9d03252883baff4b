"""The report of one study: complete, harmless whatever names the data hold, and readable in a real browser."""

import base64
import dataclasses
import http.server
import json
import re
import struct
import subprocess
import tempfile
import threading
import unittest
import zlib
from pathlib import Path

import numpy as np
from DCEPerfusionBMDLib.densitometry import measurements_from_values
from DCEPerfusionBMDLib.export import provenance, study_report
from DCEPerfusionBMDLib.export.studymethods import study_methods, study_methods_chinese
from DCEPerfusionBMDLib.figures import color_bar, curve_figures, region_pictures
from DCEPerfusionBMDLib.figures.maps import colors
from DCEPerfusionBMDLib.kinetics import Finding
from DCEPerfusionBMDLib.quantities import BY_NAME
from DCEPerfusionBMDLib.result import ParameterMap
from DCEPerfusionBMDLib.series import Sourced, TissueMaps
from DCEPerfusionBMDLib.settings import Settings, all_parameters, from_dict
from DCEPerfusionBMDLib.study import analyze
from support import small_phantom, tool
from test_report import HOSTILE, TAGS, Page

try:
    import matplotlib
except ImportError:
    matplotlib = None

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC"
)
FIGURES = {"curves": PIXEL, "input": PIXEL}
MARK = "qxran"
MOST_BYTES = 5_000_000


def history_of(series, result, settings=None, identifiers=None, **changes):
    series = dataclasses.replace(series, identifiers=identifiers or {})
    history = provenance(series, settings or Settings(), result, {"segmentation": "ab" * 32}, {}, bool(identifiers))
    return {**history, "created": "2026-01-01T00:00:00+00:00", **changes}


def decoded(png):
    """The pixels of a PNG file of 8-bit red, green and blue without filters, after ISO/IEC 15948."""
    if png[:8] != b"\x89PNG\r\n\x1a\n":
        raise AssertionError("no PNG file")
    at, chunks = 8, {}
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        data, (crc,) = png[at + 8 : at + 8 + length], struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        if crc != zlib.crc32(kind + data):
            raise AssertionError("a damaged chunk")
        chunks[kind] = data
        at += 12 + length
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if rest != [8, 2, 0, 0, 0] or b"IEND" not in chunks:
        raise AssertionError(f"not what it should be: {rest}")
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    if lines[:, 0].any():
        raise AssertionError("a filter")
    return lines[:, 1:].reshape(height, width, 3)


class Study(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.phantom = small_phantom(duration_s=150.0)
        series = cls.phantom.series()
        cls.series = dataclasses.replace(series, frames=list(series.frames), times_rejected=("EchoTime: no time",))
        bone = measurements_from_values({"t_score": "L1-L4=-2.7"})
        cls.settings = from_dict({"densitometry": {"sex": "female", "age_years": 70.0}, "regions": {"margin_mm": 2.0}})
        cls.result = analyze(cls.series, cls.phantom.segments, cls.settings, bone, "PHANTOM")
        cls.history = history_of(cls.series, cls.result, cls.settings)

    def renamed(self, text):
        """The result of a study all of whose names are the text, with numbers to tell them apart."""
        masks = {("aorta" if name == "aorta" else f"{text}{n}"): m for n, (name, m) in enumerate(self.masks())}
        return analyze(self.series, masks, self.settings, subject=text)

    def masks(self):
        return [(name, mask) for name, mask in self.phantom.segments.items() if name in ("L1", "L3", "aorta")]


class Content(Study):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.html = study_report(cls.series, cls.result, cls.history, FIGURES)
        cls.page = Page(cls.html)

    def test_is_well_formed_without_script_or_request(self):
        self.assertEqual(self.page.open, [])
        self.assertLessEqual(self.page.seen, TAGS | {"span"})
        self.assertNotRegex(self.html, r"https?:|url\(|@import|<link|<script|javascript:")
        for name, value in self.page.attributes:
            self.assertFalse(name.startswith("on"), name)
            if name in ("src", "href"):
                self.assertRegex(value, r"^(data:image/png;base64,|#)")
        identifiers = [value for name, value in self.page.attributes if name == "id"]
        self.assertEqual(len(identifiers), len(set(identifiers)))
        for link in (value[1:] for name, value in self.page.attributes if name == "href"):
            self.assertIn(link, identifiers)
        self.assertIn("For research use only", self.page.text)
        self.assertNotRegex(self.page.text, "(?i)diagnos[ei]s")
        self.assertLess(len(self.html.encode()), MOST_BYTES)
        self.assertEqual(self.html, study_report(self.series, self.result, self.history, FIGURES))

    def test_numbers_are_those_of_the_result(self):
        vertebrae = self.result.vertebrae
        heading, *rows = self.page.tables["Fit of the mean curve"]
        self.assertEqual(heading[3:6], ["Ktrans (/min)", "kep (/min)", "ve (fraction)"])
        self.assertEqual([row[0] for row in rows], list(vertebrae["region"]))
        for n, row in enumerate(rows):
            self.assertEqual(row[1], str(vertebrae["voxels_analyzed"][n]))
            for cell, name in zip(row[3:6], ("ktrans_per_min", "kep_per_min", "ve"), strict=True):
                value, error = map(float, cell.split(" \u00b1 "))
                self.assertAlmostEqual(value / vertebrae[name][n], 1.0, delta=6e-4)
                of_error = {"ktrans_per_min": "ktrans_se_per_min", "kep_per_min": "kep_se_per_min", "ve": "ve_se"}[name]
                self.assertAlmostEqual(error / vertebrae[of_error][n], 1.0, delta=0.06)
        _, *rows = self.page.tables["Voxel by voxel: median [quartiles]"]
        numbers = [float(number) for number in re.findall(r"[\d.]+", rows[0][1])]
        truth = [vertebrae[f"ktrans_{name}_per_min"][0] for name in ("median", "q1", "q3")]
        np.testing.assert_allclose(numbers, truth, rtol=6e-4)
        heading, *rows = self.page.tables["Sensitivity to the margin"]
        self.assertEqual(heading[2:], [f"{margin} mm" for margin in range(6)])
        found = {(row[0], row[1]): row[2:] for row in rows}["L3", "kep (/min)"]
        margins = self.result.margins
        truth = [k for k, name in zip(margins["kep_per_min"], margins["region"], strict=True) if name == "L3"]
        np.testing.assert_allclose([float(cell) for cell in found], truth, rtol=6e-4)
        heading, *rows = self.page.tables["What is read off the mean curves"]
        self.assertEqual(heading[1:], list(vertebrae["region"]))
        emax = {row[0]: row[1:] for row in rows}["Emax (%)"]
        np.testing.assert_allclose(list(map(float, emax)), self.result.descriptive["emax_percent"], rtol=6e-4)

    def test_voxels_add_up(self):
        heading, *rows = self.page.tables["What became of the voxels of each region"]
        drawn, analyzed = heading.index("Drawn"), heading.index("Analyzed")
        for row, name in zip(rows, self.phantom.segments, strict=False):
            counts = [int(cell) for cell in row[analyzed : heading.index("Excluded inside the margin (%)")]]
            self.assertEqual(int(row[drawn]), np.count_nonzero(self.phantom.segments[name]))
            self.assertEqual(sum(counts), int(row[drawn]))

    def test_everything_that_was_asked_for_is_there(self):
        said = self.page.text
        for wanted in (
            "T-score -2.7 of L1-L4",
            "T-score category osteoporosis",
            *(finding.message for finding in self.result.findings),
            *self.result.warnings,
            "flip angle 30",
            "EchoTime: no time",
            "ab" * 32,
            "exact inversion of the spoiled gradient echo equation",
            "fitted to the mean curve of each region and to every analyzed voxel",
            "less than 2 mm from the edge",
            "Motion was not corrected",
            "T1 of marrow before contrast 549 ms (assumed)",
            "按扰相梯度回波公式精确反演",
            "Tofts 模型（有界非线性最小二乘）",  # noqa: RUF001
            "骨髓增强前 T1 549 ms（文献值或假定值）",  # noqa: RUF001
        ):
            self.assertIn(" ".join(wanted.split()), said)
        settings = self.page.tables["Settings, those of the user first"][1:]
        self.assertEqual(len(settings), len(all_parameters()))
        self.assertEqual({row[2] for row in settings[:3]}, {"user"})
        self.assertIn(["regions.margin_mm", "2.0 mm", "user"], settings)
        self.assertEqual({row[2] for row in settings[3:]}, {"default"})
        self.assertEqual(dict(map(tuple, self.page.tables["Versions"][1:])), self.history["software"])

    def test_methods_say_what_was_done(self):
        cases = {
            ("model", "model", "patlak"): ("The Patlak model, by linear least squares", "Patlak 模型"),
            ("arterial_input", "aif", "parker"): ("population curve (Parker GJM", "群体曲线（Parker GJM"),  # noqa: RUF001
            ("arterial_input", "aif_pick", "best"): ("an early, high and steep rise", "上升早、高且陡"),
            ("regions", "exclude", "plexus,poor-fit"): (
                "venous plexus and poor fits were left",
                "静脉丛、拟合不良",
            ),
            ("regions", "margin_plane", "in-plane"): ("(within the slices)", "层面内"),
            ("model", "delay", "region"): ("fitted per region", "逐区域拟合"),
            ("conversion", "conversion", "linear"): ("linear legacy formula", "按线性公式"),
        }
        for (group, name, value), wanted in cases.items():
            with self.subTest(value=value):
                settings = from_dict({group: {name: value}})
                result = analyze(self.series, dict(self.masks()), settings)
                history = history_of(self.series, result, settings)
                said = Page(study_report(self.series, result, history, {})).text
                for text in wanted:
                    self.assertIn(text, said)
                self.assertNotIn("osteoporosis", said)

    def told(self, settings=None, bone=None, series=None, maps=None, **changes):
        """The report of an analysis, its methods in English and in Chinese."""
        settings, series = settings or Settings(), series or self.series
        result = analyze(series, dict(self.masks()), settings, bone, maps=maps)
        history = history_of(series, result, settings, **changes)
        page = Page(study_report(series, result, history, {}))
        return page, study_methods(series, result, history), study_methods_chinese(series, result, history)

    def test_methods_say_what_classified_and_nothing_else(self):
        women = {"sex": "female", "age_years": 70.0}
        lowest = "lowest {}-score of lumbar spine, total hip and femoral neck"
        cases = (
            ({"t_score": "L1-L4=-2.7"}, women, lowest.format("T"), "最低的 T 值"),
            ({"qct_mg_cm3": "L1=90,L2=100,L3=95"}, women, "the mean density by quantitative CT of L1-L3", "定量 CT"),
            (
                {"z_score": "L1-L4=-2.7"},
                {"sex": "female", "age_years": 30.0, "menopause": "pre"},
                lowest.format("Z"),
                "最低的 Z 值",
            ),
            ({"t_score": "L1-L4=-2.7"}, {**women, "mode": "paper"}, "by the lumbar T-score alone", "仅以腰椎 T 值"),
            (
                {"t_score": "L1-L4=-2.7"},
                {**women, "mode": "site", "site": "L1-L4"},
                "T-score of L1-L4",
                "L1-L4 的 T 值",
            ),
            ({"bmd_g_cm2": "L1-L4=0.9"}, women, "was not put into a category", "未作分类"),
        )
        for values, chosen, english, chinese in cases:
            with self.subTest(values=values, chosen=chosen):
                settings = from_dict({"densitometry": chosen})
                _, said, chinese_said = self.told(settings, measurements_from_values(values))
                self.assertIn(english, said)
                self.assertIn(chinese, chinese_said)
                kinds = {kind for kind in ("T-score", "Z-score", "quantitative CT") if kind in said}
                self.assertEqual(kinds, {kind for kind in ("T-score", "Z-score", "quantitative CT") if kind in english})

    def test_methods_call_a_map_a_map(self):
        shape = self.series.shape
        t1 = np.full(shape, 700.0)
        t1[..., ::2] = 500.0
        fat = from_dict({"conversion": {"t10_tissue_ms": 900.0}})
        _, said, chinese_said = self.told(fat, maps=TissueMaps(t1, np.full(shape, 0.9), np.full(shape, 0.25)))
        self.assertRegex(said, r"T1 of marrow before contrast from a map \(median \d+ ms\)")
        self.assertIn("actual over nominal flip angle from a map (median 0.9)", said)
        self.assertIn("fat fraction from a map (median 0.25)", said)
        self.assertEqual(chinese_said.count("取自参数图"), 3)
        _, said, chinese_said = self.told(maps=TissueMaps(t1, flip_angles_deg=(2.0, 10.0, 25.0)))
        self.assertRegex(said, r"T1 of marrow before contrast mapped from flip angles of 2/10/25° \(median \d+ ms\)")
        self.assertIn("由翻转角 2/10/25° 计算", chinese_said)
        self.assertNotIn("(assumed) ms", said)

    def test_methods_say_how_the_frames_follow_each_other(self):
        times = self.series.times_s.copy()
        times[20:] += 9.0  # a pause of 12 s among steps of 3 s
        source = "given by the user (list)"
        series = dataclasses.replace(self.series, times_s=times, time_source=source, skipped_frames=2)
        page, said, chinese_said = self.told(series=series)
        self.assertIn(f"acquired 3 to 12 s apart over {times[-1]:g} s", said)
        self.assertIn("The first 2 frames before these were left out. The times of the frames were given by the", said)
        self.assertIn("间隔 3 至 12 s", chinese_said)
        self.assertIn("此前的 2 帧未纳入。各帧时间由用户给出。", chinese_said)
        self.assertIn(["Frames left out before these", "2", ""], page.tables["Series and constants"])
        self.assertIn("Frame times: given by the user (list). What else", page.text)
        _, said, _ = self.told()
        self.assertIn("acquired 3 s apart", said)
        self.assertNotRegex(said, "left out\\. The times|given by the user\\.")

    def test_methods_of_small_choices(self):
        for group, chosen, wanted, against in (
            ("regions", {"margin_mm": 0.0}, "up to the edge of the outline were analyzed", "0 mm from the edge"),
            ("arterial_input", {"aif": "parker", "aif_scale": "dose", "dose_mmol_per_kg": 0.2}, "(0.2 mmol/kg)", "_"),
            ("conversion", {"b1": 0.9}, "flip angle 0.9 (given by the user)).", "0.9  ("),
        ):
            with self.subTest(chosen=chosen):
                _, said, chinese_said = self.told(from_dict({group: chosen}))
                self.assertIn(wanted, said)
                for text in (said, chinese_said):
                    self.assertNotIn(against, text)
                    self.assertNotRegex(text, r" [;),.]|  ")
                self.assertNotIn("不足 0 mm", chinese_said)

    def test_methods_name_what_moved_the_frames(self):
        moved = dataclasses.replace(self.settings, motion=dataclasses.replace(self.settings.motion, motion="series"))
        history = history_of(self.series, self.result, moved)
        history = {**history, "software": {**history["software"], "SimpleITK": "2.5.0"}}
        for words in (study_methods, study_methods_chinese):
            self.assertIn("SimpleITK 2.5.0", words(self.series, self.result, history))
            still = {**history, "settings": self.history["settings"]}
            self.assertNotIn("SimpleITK", words(self.series, self.result, still))

    def test_what_the_input_is_and_where_it_is_from(self):
        muscle = {**dict(self.masks()), "muscle": self.phantom.segments["L5"]}
        cases = (
            ({}, "artery", "found from the rise of the arterial curve"),
            (
                {"arterial_input": {"aif": "parker"}},
                "population curve; the segment tells the arrival",
                "arterial curve",
            ),
            (
                {"model": {"model": "reference-region"}},
                "reference tissue",
                "found from the rise of the reference curve",
            ),
        )
        for chosen, source, baseline in cases:
            with self.subTest(chosen=chosen):
                settings = from_dict(chosen)
                result = analyze(self.series, muscle if "model" in chosen else dict(self.masks()), settings)
                page = Page(study_report(self.series, result, history_of(self.series, result, settings), {}))
                rows = {row[0]: row[1:] for row in page.tables["Series and constants"]}
                self.assertEqual(rows["Input of the model"][1], source)
                self.assertIn(baseline, rows["Frames before contrast"][1])
                self.assertEqual(rows["Arrival of the bolus"][1], "found from the input")
        flat = dataclasses.replace(self.result, measured_mM=np.zeros(self.result.times_s.size))
        page = Page(study_report(self.series, flat, self.history, {}))
        rows = {row[0]: row[1:] for row in page.tables["Series and constants"]}
        self.assertIn("last frame before contrast", rows["Arrival of the bolus"][1])

    def test_fitted_delays_are_there(self):
        settings = from_dict({"model": {"delay": "region"}})
        result = analyze(self.series, dict(self.masks()), settings)
        page = Page(study_report(self.series, result, history_of(self.series, result, settings), {}))
        heading, *rows = page.tables["Fit of the mean curve"]
        found = [float(row[heading.index("Delay (s)")]) for row in rows]
        np.testing.assert_allclose(found, result.vertebrae["delay_s"], rtol=1e-3, atol=1e-6)
        self.assertNotIn("Delay (s)", self.page.tables["Fit of the mean curve"][0])

    def test_a_region_without_a_curve_stays_in_every_table(self):
        frames = [np.array(frame, dtype=np.float32) for frame in self.series.frames]
        frames[12][self.phantom.segments["L3"]] = np.nan
        series = dataclasses.replace(self.series, frames=frames)
        settings = from_dict({"regions": {"exclude": "none"}})
        result = analyze(series, dict(self.masks()), settings)
        page = Page(study_report(series, result, history_of(series, result, settings), {}))
        for name in ("Fit of the mean curve", "Sensitivity to the margin", "What became of the voxels of each region"):
            self.assertIn("L3", [row[0] for row in page.tables[name]], name)
        rows = [n for n, name in enumerate(result.margins["region"]) if name == "L3"]
        self.assertEqual([result.margins["margin_mm"][n] for n in rows], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        self.assertTrue(np.isnan([result.margins["ktrans_per_min"][n] for n in rows]).all())

    def test_a_curve_without_a_type_is_called_so_in_words(self):
        series = dataclasses.replace(self.series, frames=self.series.frames[:16], times_s=self.series.times_s[:16])
        result = analyze(series, dict(self.masks()), from_dict({"regions": {"exclude": "none"}}))
        self.assertIn("unclassified", result.descriptive["curve_type"])
        page = Page(study_report(series, result, history_of(series, result), {}))
        self.assertIn("unclassified: incomplete or too short to tell", page.text)
        self.assertNotIn("UNCLASSIFIED", page.text)

    def test_codes_of_the_descriptive_table(self):
        """DICOM PS3.16, CID 4109."""
        codes = {column.name: column.quantity for column in self.result.descriptive.columns}
        published = {
            "iauc60_mM_s": "126321",
            "iauc90_mM_s": "126322",
            "iauc180_mM_s": "126323",
            "iaugc60": "126325",
            "iaugc90": "126326",
            "iaugc180": "126327",
        }
        for name, value in published.items():
            self.assertEqual(BY_NAME[codes[name]].code.value, value)
        self.assertEqual([name for name in list(codes)[3:-1] if not codes[name]], [])

    def test_perfusion_against_groups_has_each_note_once_and_whole(self):
        settings = from_dict({"densitometry": {"perfusion_comparison": "paper-classes"}})
        result = analyze(self.series, self.phantom.segments, settings)
        page = Page(study_report(self.series, result, history_of(self.series, result, settings), FIGURES))
        notes = {note for group in result.groups for note in (spread.note for spread in group.spreads.values()) if note}
        for note in notes:
            self.assertEqual(len(re.findall(rf"Note \d\. {re.escape(note)}", page.text)), 1)
        heading, *rows = page.tables["Perfusion against paper-classes"]
        truth = result.tables()[-1]
        self.assertEqual([row[heading.index("z")] for row in rows][:2], [f"{z:.4g}" for z in truth["z"][:2]])
        self.assertEqual(len(rows), 9)
        self.assertIn("No bone mineral density was given.", page.text)

    def test_a_long_warning_is_whole(self):
        warning = "word " * 150 + "end"
        result = dataclasses.replace(self.result, warnings=(warning,))
        self.assertIn(warning, Page(study_report(self.series, result, self.history, {})).text)

    def test_a_severe_finding_stands_at_the_head(self):
        severe = Finding("severe", "frame time", "Frames are 20 s apart.")
        page = Page(
            study_report(self.series, dataclasses.replace(self.result, findings=(severe,)), self.history, FIGURES)
        )
        head = page.text.partition("What was analyzed")[0]
        self.assertIn("Do not use the quantitative results: Frames are 20 s apart.", head)
        self.assertNotIn("Do not use", self.page.text)

    def test_the_patient_is_named_when_asked_for_only(self):
        series = dataclasses.replace(self.series, identifiers={"PatientName": "DOE^JANE"})
        self.assertNotIn("DOE", study_report(series, self.result, self.history, {}))
        kept = history_of(self.series, self.result, identifiers={"PatientName": "DOE^JANE"})
        self.assertIn("DOE^JANE", study_report(series, self.result, kept, {}))

    def test_without_figures_it_says_so_and_has_its_map_images(self):
        html = study_report(self.series, self.result, self.history, {}, "The curves are not drawn: no matplotlib.")
        page = Page(html)
        self.assertEqual(page.text.count("The curves are not drawn: no matplotlib."), 2)
        self.assertIn("The numbers are in curves.csv.", page.text)
        self.assertEqual(html.count("<img "), 5 * 4 + 3)

    def test_whatever_the_names_are_they_are_shown_and_never_run(self):
        for text in HOSTILE:
            with self.subTest(text=text[:20]):
                result = self.renamed(text)
                used = {**result.used, "agent": Sourced(text, text), text: Sourced(text, text)}
                result = dataclasses.replace(result, used=used, warnings=(text,))
                series = dataclasses.replace(self.series, times_rejected=(text,), time_source=text)
                history = history_of(
                    series, result, identifiers={"PatientName": text, text: text}, choices={text: text}
                )
                html = study_report(series, result, history, FIGURES, text)
                page = Page(html)
                self.assertEqual(page.open, [])
                self.assertLessEqual(page.seen, TAGS | {"span"})
                self.assertEqual([name for name, _ in page.attributes if name.startswith("on")], [])
                self.assertNotRegex(html, "[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
                shown = "".join(letter for letter in text if letter.isprintable())[:79]
                self.assertIn(" ".join(shown.split()), page.text)
                self.assertLess(len(html.encode()), MOST_BYTES)

    def test_many_regions_stay_below_5_MB(self):
        grid = np.argwhere(self.phantom.segments["L1"])
        masks = {f"R{n}": np.zeros(self.series.shape, bool) for n in range(120)}
        for mask, chosen in zip(masks.values(), np.array_split(grid, 120), strict=True):
            mask[tuple(chosen.T)] = True
        settings = from_dict({"regions": {"margin_mm": 0.0, "exclude": "none"}})
        result = analyze(self.series, {**masks, "aorta": self.phantom.segments["aorta"]}, settings)
        html = study_report(self.series, result, history_of(self.series, result, settings), FIGURES)
        self.assertLess(len(html.encode()), MOST_BYTES)
        self.assertIn("90 more regions are in the maps", html)
        tables = {name: rows for name, rows in Page(html).tables.items() if name.startswith("What is read off")}
        self.assertEqual(len(tables), 15)  # of 8 regions each, as many as a printed page takes
        self.assertEqual([name for rows in tables.values() for name in rows[0][1:]], [f"R{n}" for n in range(120)])
        self.assertIn("What is read off the mean curves: regions 9 to 16 of 120", tables)


class Pictures(Study):
    def test_colors_are_those_of_viridis(self):
        published = {0: "440154", 64: "3b528b", 128: "21918c", 191: "5ec962", 255: "fde725"}
        for level, color in published.items():
            found = colors(np.array([level], dtype=np.uint8))[0].astype(int)
            self.assertLess(np.abs(found - list(bytes.fromhex(color))).max(), 6, level)
        bar = decoded(color_bar())
        self.assertEqual(bar.shape, (12, 256, 3))
        np.testing.assert_array_equal(bar[3], colors(np.arange(256, dtype=np.uint8)))

    def test_a_map_is_colored_where_it_has_a_value_and_gray_elsewhere(self):
        values = np.where(self.result.rois.regions[0].analyzed, np.float32(9.0), np.float32(np.nan))
        result = dataclasses.replace(self.result, maps={**self.result.maps, "ktrans": ParameterMap("ktrans", values)})
        pictures = region_pictures(self.series, result)
        pixels = decoded(pictures[0].maps["ktrans"]).reshape(-1, 3)
        gray = (pixels == pixels[:, :1]).all(axis=1)
        shown = {tuple(color) for color in pixels[~gray].tolist()}
        self.assertEqual(shown, {(253, 231, 37), (255, 140, 0), (255, 0, 200)})  # highest value, drawn, analyzed
        k = pictures[0].slice_number - 1
        region = self.result.rois.regions[0]
        area = np.count_nonzero(region.analyzed[k]) / np.count_nonzero(region.drawn[k])
        seen = np.count_nonzero((pixels == (253, 231, 37)).all(axis=1) | (pixels == (255, 0, 200)).all(axis=1))
        extent = [np.ptp(found) + 1 for found in np.nonzero(region.drawn[k])]
        margins = [max(2, round(0.3 * size)) for size in extent]
        share = np.prod(extent) / np.prod([size + 2 * margin for size, margin in zip(extent, margins, strict=True)])
        self.assertAlmostEqual(seen / len(pixels) / share, area, delta=0.03)
        outside = decoded(pictures[1].maps["ktrans"]).reshape(-1, 3)
        outside = outside[~(outside == outside[:, :1]).all(axis=1)]
        self.assertEqual({tuple(color) for color in outside.tolist()}, {(255, 140, 0), (255, 0, 200)})

    def test_patients_are_seen_from_the_same_side_however_the_voxels_are_stored(self):
        pictures = region_pictures(self.series, self.result)
        self.assertEqual(pictures[0].plane, "sagittal")
        j, i = self.series.shape[1:]
        mirror = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], float)
        for name, axis, matrix in (
            ("rows as columns", None, mirror),
            ("rows", 1, np.array([[1, 0, 0, 0], [0, -1, 0, j - 1], [0, 0, 1, 0], [0, 0, 0, 1]], float)),
            ("columns", 2, np.array([[-1, 0, 0, i - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], float)),
        ):
            with self.subTest(turned=name):

                def turned(values, axis=axis):
                    flipped = np.swapaxes(values, 1, 2) if axis is None else np.flip(values, axis)
                    return np.ascontiguousarray(flipped)

                series = dataclasses.replace(
                    self.series,
                    frames=[turned(np.asarray(frame)) for frame in self.series.frames],
                    ijk_to_ras=self.series.ijk_to_ras @ matrix,
                )
                rois = dataclasses.replace(
                    self.result.rois,
                    regions=tuple(
                        dataclasses.replace(region, fate=turned(region.fate)) for region in self.result.rois.regions
                    ),
                )
                maps = {n: ParameterMap(n, turned(m.values)) for n, m in self.result.maps.items()}
                self.assertEqual(
                    region_pictures(series, dataclasses.replace(self.result, rois=rois, maps=maps)), pictures
                )

    def test_voxels_have_the_shape_of_the_patient(self):
        region = self.result.rois.regions[0]
        picture = decoded(region_pictures(self.series, self.result)[0].anatomy)
        k, mm = region_pictures(self.series, self.result)[0].slice_number - 1, self.series.spacing_mm
        sizes = []
        for found, step in zip(np.nonzero(region.drawn[k]), mm[1:], strict=True):
            extent = np.ptp(found) + 1
            sizes.append(step * (extent + 2 * max(2, round(0.3 * extent))))
        self.assertAlmostEqual(picture.shape[0] / picture.shape[1], sizes[0] / sizes[1], delta=0.01)

    @unittest.skipIf(matplotlib is None, "matplotlib is absent")
    def test_curves_of_any_names_are_drawn(self):
        with tempfile.TemporaryDirectory() as folder:
            sizes = []
            for text in ("plain", "x" * 10_000, "$\\frac{", "\u8170"):
                paths = curve_figures(self.renamed(text), Path(folder))
                self.assertEqual([path.name for path in paths], ["curves.png", "input.png"])
                sizes.append({path.read_bytes()[16:24] for path in paths})
            self.assertEqual(sizes, sizes[:1] * 4)


class Browser(Study):
    """Chromium, without a window, opens the page."""

    @classmethod
    def setUpClass(cls):
        cls.chromium = tool("chromium")
        super().setUpClass()

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.asked = []
        asked = self.asked

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(404)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        address = f"http://127.0.0.1:{self.server.server_port}"
        self.attacks = (
            f"<script>document.documentElement.dataset.{MARK}=1;fetch('{address}/fetch')</script>",
            f"\"><img src='{address}/image' onerror='document.documentElement.dataset.{MARK}=1'>",
            f"</title></style></td></table><iframe src='{address}/frame'></iframe>",
            f"<style>@import url({address}/style);body{{background:url({address}/background)}}</style>",
            "\u202e\u2066\u05d0\u05d1\u05d2 gnp",
            "W" * 10_000,
        )

    def opened(self, page, *more):
        more = more or ("--dump-dom",)
        path = self.folder / "page.html"
        path.write_text(page, encoding="utf-8")
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        arguments += [f"--user-data-dir={self.folder / 'profile'}", "--virtual-time-budget=8000", *more, path.as_uri()]
        done = subprocess.run([self.chromium, *arguments], capture_output=True, timeout=120, check=True)
        return done.stdout.decode("utf-8", "replace")

    def page(self):
        """A report whose every text from outside is an attack."""
        text = " ".join(self.attacks[:4])
        masks = {("aorta" if name == "aorta" else self.attacks[n]): m for n, (name, m) in enumerate(self.masks())}
        masks[self.attacks[-1]] = self.phantom.segments["L5"]
        masks[self.attacks[4]] = self.phantom.segments["L4"]
        result = analyze(self.series, masks, self.settings, subject=text)
        result = dataclasses.replace(result, warnings=self.attacks)
        series = dataclasses.replace(self.series, times_rejected=self.attacks)
        kept = {"PatientName": text, "SeriesDescription": self.attacks[-1], "StudyDescription": self.attacks[0]}
        return study_report(series, result, history_of(series, result, self.settings, kept), FIGURES)

    def test_no_script_runs_and_nothing_is_asked_for(self):
        control = f"<!DOCTYPE html><body>{''.join(self.attacks)}</body>"
        self.assertIn(f"data-{MARK}", self.opened(control))
        self.assertLessEqual({"/image", "/frame", "/style"}, set(self.asked))  # what the test would see
        self.asked.clear()
        found = self.opened(self.page())
        self.assertNotIn(f"data-{MARK}", found)
        self.assertNotRegex(found, "<(script|iframe)")
        self.assertIn("&lt;script&gt;document", found)
        self.assertIn("</main>", found)
        self.assertEqual(self.asked, [])

    def measured(self, page, width):
        """Width of the page in a frame, its pictures that are not shown, and the widest cell, in CSS pixels."""
        source = json.dumps(page).replace("<", "\\u003c")
        script = f"""
            const frame = document.createElement('iframe');
            frame.width = {width}; frame.height = 900; frame.style.border = 0;
            frame.onload = () => {{
              const page = frame.contentDocument;
              const wide = [...page.querySelectorAll('th,td')].map(cell => cell.getBoundingClientRect().width);
              const lost = [...page.images].filter(image => !image.naturalWidth).length;
              document.body.dataset.measured = JSON.stringify(
                [page.documentElement.scrollWidth, lost, Math.max(...wide), page.images.length]);
            }};
            frame.srcdoc = {source};
            document.body.append(frame);"""
        found = self.opened(f"<!DOCTYPE html><meta charset=utf-8><body><script>{script}</script>")
        return json.loads(re.search(r'data-measured="\[(.*?)\]"', found)[1].join("[]"))

    def test_long_names_do_not_widen_the_page_and_pictures_are_shown(self):
        page = self.page()
        for width in (500, 1280):
            with self.subTest(width=width):
                wide, lost, cell, pictures = self.measured(page, width)
                self.assertLessEqual(wide, width)
                self.assertEqual((lost, pictures), (0, 4 * 4 + 3 + 2))
                self.assertLess(cell, 600)
        wide, *_ = self.measured(page.replace("overflow-wrap", "x-wrap").replace("overflow-x", "x-x"), 500)
        self.assertGreater(wide, 1000)  # what the test would see

    def test_is_printed(self):
        pdf = self.folder / "page.pdf"
        self.opened(self.page(), f"--print-to-pdf={pdf}", "--no-pdf-header-footer")
        content = pdf.read_bytes()
        self.assertTrue(content.startswith(b"%PDF"))
        self.assertLess(len(re.findall(rb"/Type /Page\b", content)), 25)


class Constants(unittest.TestCase):
    def test_the_pixel_of_these_tests_is_a_picture(self):
        self.assertEqual(decoded(base64.b64decode(PIXEL.partition(",")[2])).shape, (1, 1, 3))


if __name__ == "__main__":
    unittest.main()
