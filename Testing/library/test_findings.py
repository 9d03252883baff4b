"""Graded findings about the arterial input and the protocol."""

import dataclasses
import re
import unittest

import numpy as np
from DCEPerfusionBMDLib.kinetics import Tofts, arterial_peak_errors
from DCEPerfusionBMDLib.kinetics.aif import parker_blood_concentration
from DCEPerfusionBMDLib.kinetics.findings import (
    aif_findings,
    arterial_peak_finding,
    first_pass_finding,
    population_sampling_finding,
    protocol_findings,
)

TIMES_S = np.arange(0.0, 361.0, 3.0)
ARRIVAL_S = 31.0
BLOOD_MM = parker_blood_concentration((TIMES_S - ARRIVAL_S) / 60.0)


def grades(findings):
    return {finding.topic: finding.grade for finding in findings}


def message(findings, topic):
    return next(finding.message for finding in findings if finding.topic == topic)


class Artery(unittest.TestCase):
    def test_a_published_input_passes_every_check(self):
        found = aif_findings(
            TIMES_S,
            BLOOD_MM,
            11,
            ARRIVAL_S,
            tissue_arrival_s=33.0,
            baseline_signal_ratio=1.1,
            predicted_signal_ratio=1.0,
        )
        self.assertEqual(set(grades(found).values()), {"ok"})
        self.assertEqual(
            set(grades(found)),
            {
                "arterial conversion",
                "arterial peak",
                "arterial wash-out",
                "arterial tail",
                "arterial baseline",
                "arterial sign",
                "order of arrival",
                "inflow",
            },
        )

    def test_peak_outside_the_plausible_range(self):
        for factor, dose, grade in (
            (0.32, 0.1, "warning"),
            (0.35, 0.1, "ok"),
            (2.4, 0.1, "ok"),
            (2.6, 0.1, "warning"),
            (1.3, 0.05, "warning"),
            (0.35, 0.2, "warning"),
        ):
            with self.subTest(factor=factor, dose=dose):
                found = aif_findings(TIMES_S, factor * BLOOD_MM, 11, ARRIVAL_S, dose_mmol_per_kg=dose)
                self.assertEqual(grades(found)["arterial peak"], grade)
        low = message(aif_findings(TIMES_S, 0.3 * BLOOD_MM, 11, ARRIVAL_S), "arterial peak")
        self.assertRegex(low, r"1\.\d\d mM is below the 2 to 15 mM .* too high: check the segment")

    def test_curve_that_does_not_wash_out(self):
        rising = np.clip((TIMES_S - ARRIVAL_S) / 100.0, 0.0, None)
        plateau = 3.0 * np.clip((TIMES_S - ARRIVAL_S) / 10.0, 0.0, 1.0)
        plateau[15] = 3.1
        later = np.where(TIMES_S > ARRIVAL_S + 60.0, 4.0, plateau)
        later[60] = 4.1
        saturated = np.minimum(BLOOD_MM, 0.9)
        saturated[14] = 0.91
        for name, curve, grade in (
            ("rising", rising, "severe"),
            ("plateau", plateau, "warning"),
            ("later", later, "severe"),
            ("saturated", saturated, "warning"),
        ):
            with self.subTest(name):
                self.assertEqual(grades(aif_findings(TIMES_S, curve, 11, ARRIVAL_S))["arterial wash-out"], grade)

    def test_series_that_ends_at_the_peak(self):
        short = TIMES_S <= 42.0
        found = aif_findings(TIMES_S[short], BLOOD_MM[short], 11, ARRIVAL_S)
        self.assertEqual(grades(found)["arterial wash-out"], "severe")

    def test_tail(self):
        for factor, grade in ((0.6, "warning"), (0.75, "ok"), (2.5, "ok"), (2.8, "warning")):
            with self.subTest(factor=factor):
                found = aif_findings(TIMES_S, factor * BLOOD_MM, 11, ARRIVAL_S)
                self.assertEqual(grades(found)["arterial tail"], grade)
        short = TIMES_S <= 318.0
        self.assertNotIn("arterial tail", grades(aif_findings(TIMES_S[short], BLOOD_MM[short], 11, ARRIVAL_S)))

    def test_noise_before_contrast(self):
        alternating = np.where(np.arange(TIMES_S.size) % 2, 1.0, -1.0)
        for amplitude, grade in ((0.25, "ok"), (0.4, "warning")):
            with self.subTest(amplitude=amplitude):
                found = aif_findings(TIMES_S, BLOOD_MM + amplitude * alternating, 10, ARRIVAL_S)
                self.assertEqual(grades(found)["arterial baseline"], grade)
                self.assertEqual(grades(found)["arterial sign"], "ok")

    def test_negative_concentrations_after_arrival(self):
        curve = BLOOD_MM.copy()
        curve[[70, 71]] = -0.4
        found = aif_findings(TIMES_S, curve, 11, ARRIVAL_S)
        self.assertEqual(grades(found)["arterial sign"], "warning")
        self.assertRegex(message(found, "arterial sign"), r"^2 frames .* -0\.40 mM")
        noisy = BLOOD_MM + 0.1 * np.where(np.arange(TIMES_S.size) % 2, 1.0, -1.0)
        for value, grade in ((-0.25, "ok"), (-0.4, "warning")):
            noisy[70] = value
            self.assertEqual(grades(aif_findings(TIMES_S, noisy, 10, ARRIVAL_S))["arterial sign"], grade)
        before = BLOOD_MM.copy()
        before[3] = -0.4
        self.assertEqual(grades(aif_findings(TIMES_S, before, 11, ARRIVAL_S))["arterial sign"], "ok")

    def test_frames_without_a_concentration(self):
        curve = BLOOD_MM.copy()
        curve[13:15] = np.nan
        found = aif_findings(TIMES_S, curve, 11, ARRIVAL_S)
        self.assertEqual(grades(found)["arterial conversion"], "severe")
        self.assertIn("2 of 121 frames", message(found, "arterial conversion"))
        self.assertEqual(grades(found)["arterial tail"], "ok")
        nothing = aif_findings(TIMES_S, np.full(TIMES_S.size, np.nan), 11, ARRIVAL_S)
        self.assertEqual(grades(nothing), {"arterial conversion": "severe"})

    def test_tissue_before_artery(self):
        for tissue_s, grade in ((27.0, "warning"), (28.5, "ok"), (40.0, "ok")):
            with self.subTest(tissue_s=tissue_s):
                found = aif_findings(TIMES_S, BLOOD_MM, 11, ARRIVAL_S, tissue_arrival_s=tissue_s)
                self.assertEqual(grades(found)["order of arrival"], grade)

    def test_inflow(self):
        for measured, grade in ((1.4, "ok"), (1.6, "warning")):
            found = aif_findings(
                TIMES_S, BLOOD_MM, 11, ARRIVAL_S, baseline_signal_ratio=0.5 * measured, predicted_signal_ratio=0.5
            )
            self.assertEqual(grades(found)["inflow"], grade)

    def test_shapes_that_differ(self):
        with self.assertRaisesRegex(ValueError, r"times \(121,\) and blood curve \(120,\)"):
            aif_findings(TIMES_S, BLOOD_MM[1:], 11, ARRIVAL_S)


class Protocol(unittest.TestCase):
    def test_frame_time(self):
        for step_s, grade in (
            (3.0, "ok"),
            (3.1, "note"),
            (5.0, "note"),
            (5.1, "warning"),
            (7.9, "warning"),
            (8.0, "severe"),
        ):
            with self.subTest(step_s=step_s):
                found = protocol_findings(step_s * np.arange(100), 10, 30.0, 25.0)
                self.assertEqual(grades(found)["frame time"], grade)

    def test_only_frames_of_the_bolus_need_to_be_dense(self):
        slow_later = np.concatenate((np.arange(0.0, 120.0, 2.0), np.arange(120.0, 400.0, 20.0)))
        self.assertEqual(grades(protocol_findings(slow_later, 10, 30.0, 25.0))["frame time"], "ok")
        gap = np.concatenate((np.arange(0.0, 33.0, 3.0), np.arange(36.0, 400.0, 3.0)))
        self.assertEqual(grades(protocol_findings(gap, 10, 31.0, 25.0))["frame time"], "warning")

    def test_series_that_begins_too_late(self):
        """Frames every 3 s: the last of 11 before contrast is at 30 s."""
        for frames, arrival_s, grade in (
            (11, 31.0, "ok"),
            (11, 28.6, "ok"),
            (11, 28.4, "severe"),
            (1, 3.1, "ok"),
            (1, 2.9, "severe"),
        ):
            with self.subTest(frames=frames, arrival_s=arrival_s):
                found = protocol_findings(TIMES_S, frames, arrival_s, 25.0)
                self.assertEqual(grades(found)["start of the series"], grade)
                trusted = "no value is to be trusted" not in message(found, "start of the series")
                self.assertEqual(trusted, grade == "ok")

    def test_baseline_duration_and_flip_angle(self):
        for frames, arrival_s, flip_deg, expected in (
            (3, 240.0, 20.0, ("ok", "ok", "ok")),
            (2, 240.0, 20.0, ("warning", "ok", "ok")),
            (3, 241.0, 20.0, ("ok", "warning", "ok")),
            (3, 240.0, 19.0, ("ok", "ok", "note")),
        ):
            with self.subTest(frames=frames, arrival_s=arrival_s, flip_deg=flip_deg):
                found = grades(protocol_findings(TIMES_S, frames, arrival_s, flip_deg))
                self.assertEqual((found["baseline length"], found["duration"], found["flip angle"]), expected)

    def test_every_message_is_one_sentence_with_a_number(self):
        bad = aif_findings(TIMES_S, 0.1 * BLOOD_MM[::-1], 11, ARRIVAL_S, 0.1, 10.0, 3.0, 1.0)
        bad += protocol_findings(9.0 * np.arange(12), 1, 60.0, 12.0)
        bad += protocol_findings(4.0 * np.arange(100), 0, 60.0, 25.0)
        self.assertGreaterEqual(sum(finding.grade != "ok" for finding in bad), 9)
        for finding in bad:
            with self.subTest(finding.topic):
                self.assertRegex(finding.message, r"^[A-Z0-9][^.]*(\.\d[^.]*)*\.$")
                if finding.grade != "ok":
                    self.assertTrue(re.search(r"\d", finding.message))
                    self.assertIn(": ", finding.message)


class ArterialPeak(unittest.TestCase):
    """A flip angle of 12 degrees saturates blood at 6 mM; one of 30 degrees does not (TR 3.5 ms, T1 1441 ms)."""

    def test_grades(self):
        for flip_angle_deg, grade, words in ((12.0, "warning", "no value at all"), (30.0, "ok", "-19 %|-18 %")):
            finding = arterial_peak_finding(arterial_peak_errors(6.0, 1441.0, 6.3, 3.5, flip_angle_deg, 1.2))
            self.assertEqual(finding.grade, grade)
            self.assertRegex(finding.message, words)

    def test_r2star_that_is_corrected_or_unknown(self):
        errors = arterial_peak_errors(6.0, 1441.0, 6.3, 3.5, 12.0, np.nan)
        unknown = dataclasses.replace(errors, uncorrected_r2star=np.nan)
        self.assertIn("unknown, since the echo time is", arterial_peak_finding(unknown).message)
        corrected = arterial_peak_finding(arterial_peak_errors(6.0, 1441.0, 6.3, 3.5, 12.0, 1.2), 5.0, True).message
        self.assertIn("r2* is corrected for with 5 /s/mM", corrected)
        self.assertNotIn("--b1", corrected)


class PopulationInput(unittest.TestCase):
    def test_error_of_sampling_at_the_frames(self):
        """Fritz-Hansen's curve jumps to its peak at arrival; those of Parker and Georgiou rise over seconds."""
        for name, frame_s, grade in (
            ("parker", 3.0, "ok"),
            ("orton3", 5.0, "ok"),
            ("fritz-hansen", 1.0, "ok"),
            ("fritz-hansen", 5.0, "warning"),
            ("orton2", 5.0, "warning"),
        ):
            with self.subTest(name=name, frame_s=frame_s):
                finding = population_sampling_finding(np.arange(0.0, 360.0, frame_s), name, 31.0)
                self.assertEqual((finding.grade, finding.topic), (grade, "population input"))

    def test_the_error_is_that_of_a_fit_to_the_closed_form(self):
        """Whitcher 2011, equation for the biexponential plasma curve: 2.4 exp(-3 t) + 0.62 exp(-0.016 t)."""
        times_s = np.arange(0.0, 360.0, 5.0)
        t = np.maximum(times_s - 31.0, 0.0) / 60.0
        plasma = np.where(times_s < 31.0, 0.0, 2.4 * np.exp(-3.0 * t) + 0.62 * np.exp(-0.016 * t))
        tissue = sum(a * 0.3 * (np.exp(-m * t) - np.exp(-2.0 * t)) / (2.0 - m) for a, m in ((2.4, 3.0), (0.62, 0.016)))
        error = 100.0 * (float(Tofts(times_s, plasma).fit(tissue).ktrans_per_min[0]) / 0.3 - 1.0)
        message = population_sampling_finding(times_s, "fritz-hansen", 31.0).message
        self.assertAlmostEqual(float(re.search(r"by ([+-][\d.]+) %", message)[1]), error, delta=0.6)

    def test_an_input_without_first_pass_is_warned_of(self):
        """Ktrans under Parker's blood by quadrature of the convolution, fitted with Weinmann's closed form."""
        times_s = np.arange(0.0, 300.0, 3.0)
        t, fine = np.maximum(times_s - 31.0, 0.0) / 60.0, np.arange(0.0, 269.0, 0.05) / 60.0
        parker = parker_blood_concentration(fine) / 0.58
        tissue = [np.trapezoid(np.where(fine <= x, 0.3 * parker * np.exp(-2.0 * (x - fine)), 0.0), fine) for x in t]
        plasma = np.where(times_s < 31.0, 0.0, 0.399 * np.exp(-0.144 * t) + 0.478 * np.exp(-0.0111 * t))
        ktrans = float(Tofts(times_s, plasma).fit(np.array(tissue)).ktrans_per_min[0])
        self.assertGreater(ktrans, 5 * 0.3)
        found = first_pass_finding(times_s, "weinmann", 31.0, 0.42)
        self.assertEqual((found.grade, found.topic), ("warning", "first pass"))
        self.assertAlmostEqual(float(re.search(r"come out as ([\d.]+) /min", found.message)[1]), ktrans, delta=0.1)
        self.assertEqual(first_pass_finding(times_s, "fritz-hansen", 31.0, 0.42).grade, "warning")
        for name in ("parker", "georgiou", "orton2", "orton3"):
            self.assertEqual(first_pass_finding(times_s, name, 31.0, 0.42).grade, "ok")


if __name__ == "__main__":
    unittest.main()
