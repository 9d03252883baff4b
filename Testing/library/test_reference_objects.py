"""The fits on public digital reference objects: OSIPI's tables and PkModeling's phantom."""

import csv
import gzip
import sys
import unittest

import numpy as np
from DCEPerfusionBMDLib.kinetics.aif import baseline_frame_count, plasma_from_blood
from DCEPerfusionBMDLib.kinetics.linear import Patlak
from DCEPerfusionBMDLib.kinetics.refine import fit_delay
from DCEPerfusionBMDLib.kinetics.signal import concentration_from_signal
from DCEPerfusionBMDLib.kinetics.status import FitStatus
from DCEPerfusionBMDLib.kinetics.tofts import ExtendedTofts, Tofts
from support import against, measured, reference_data


def osipi_rows(name):
    csv.field_size_limit(min(sys.maxsize, 10**8))
    with (reference_data("osipi") / name).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers = {key: np.array(value.split(), dtype=float) for key, value in row.items() if key != "label"}
            yield row["label"], {key: value if value.size > 1 else float(value[0]) for key, value in numbers.items()}


class Osipi(unittest.TestCase):
    @against("Kinetic models", "Tofts object of QIBA, 5 tissues at 5 noise levels", "osipi", "Tofts.fit")
    def test_tofts(self):
        high = 0
        for label, row in osipi_rows("dce_DRO_data_tofts.csv"):
            with self.subTest(row=label):
                fit = Tofts(row["t"], row["ca"]).fit(row["C"])
                ktrans, ve = fit.ktrans_per_min[0], fit.ve[0]
                error = abs(ktrans - row["Ktrans"]) / (0.005 + 0.1 * row["Ktrans"])
                measured(self, "Ktrans, share of OSIPI's tolerance", error, 1.0)
                measured(self, "ve", ve - row["ve"], 0.05)
                if label.endswith("highSNR"):
                    high += 1
                    measured(self, "Ktrans, least noise", 100 * (ktrans / row["Ktrans"] - 1), 0.2, "%")
                    measured(self, "ve, least noise", 100 * (ve / row["ve"] - 1), 0.2, "%")
        self.assertEqual(high, 5)

    def test_tofts_with_the_tissue_later_by_ten_frames(self):
        for label, row in osipi_rows("dce_DRO_data_tofts.csv"):
            if not label.endswith("highSNR"):
                continue
            with self.subTest(row=label):
                later = np.concatenate((np.zeros(10), row["C"][:-10]))
                fit = Tofts(row["t"], row["ca"], delay_s=5.0).fit(later)
                self.assertLessEqual(100 * abs(fit.ktrans_per_min[0] / row["Ktrans"] - 1), 0.2)
                self.assertLessEqual(100 * abs(fit.ve[0] / row["ve"] - 1), 0.2)

    @against("Kinetic models", "Patlak object, 9 tissues with noise", "osipi", "Patlak.fit")
    def test_patlak(self):
        count = 0
        for label, row in osipi_rows("patlak_sd_0.02_delay_0.csv"):
            with self.subTest(row=label):
                fit = Patlak(row["t"], row["cp_aif"], (0.0, 5.0), (0.0, 1.0)).fit(row["C_t"])
                error = abs(fit.ktrans_per_min[0] - row["ps"]) / (0.005 + 0.1 * row["ps"])
                measured(self, "Ktrans, share of OSIPI's tolerance", error, 1.0)
                measured(self, "vp", fit.vp[0] - row["vp"], 0.025)
                count += 1
        self.assertEqual(count, 9)


def read_nrrd(name):
    """Header fields and values of a gzip NRRD file, axes in the order of its sizes."""
    data = (reference_data("pkmodeling") / name).read_bytes()
    header, _, body = data.partition(b"\n\n")
    fields = {}
    for line in header.decode().splitlines()[1:]:
        key, separator, value = line.partition(":= " if ":= " in line else ":=" if ":=" in line else ": ")
        if separator and not line.startswith("#"):
            fields[key] = value
    kind = {"short": "<i2", "float": "<f4", "double": "<f8"}[fields["type"]]
    if fields["endian"] != "little" or fields["encoding"] != "gzip":
        raise ValueError("another NRRD than that of the reference object")
    sizes = [int(size) for size in fields["sizes"].split()]
    return fields, np.frombuffer(gzip.decompress(body), kind).reshape(sizes, order="F").astype(float)


class PkModelingObject(unittest.TestCase):
    """15 x 12 voxels: Ktrans and arrival along i, ve and vp along j; delay and arrival are estimated."""

    @classmethod
    def setUpClass(cls):
        fields, signal = read_nrrd("DRO5min1secinf.nrrd")
        signal = signal[..., 0]
        times_s = np.array(fields["MultiVolume.FrameLabels"].split(","), dtype=float) / 1000.0
        sequence = {"relaxivity_per_s_mM": 3.7, "repetition_time_ms": 5.0, "flip_angle_deg": 15.0}
        artery = signal[:, 0, 0]
        frames = baseline_frame_count(artery)
        cls.before = artery[:frames]
        blood = concentration_from_signal(artery, artery[:frames].mean(), 1628.66, **sequence)
        tissue = signal[:, 1:16, 1:13].reshape(300, 180).T
        cls.concentration = concentration_from_signal(tissue, tissue[:, :frames].mean(axis=1), 1434.0, **sequence)
        cls.delay_s, cls.fit = fit_delay(ExtendedTofts(times_s, plasma_from_blood(blood, 0.45)), cls.concentration)
        i, j = (index.ravel() for index in np.meshgrid(np.arange(15), np.arange(12), indexing="ij"))
        cls.ktrans = np.array([0.05, 0.1, 0.2, 0.3, 0.4])[i // 3]
        cls.true_delay_s = np.array([0.0, 2.0, 4.0])[i % 3]
        cls.ve = np.array([0.15, 0.25, 0.35])[j // 4]
        cls.vp = np.array([0.0, 0.01, 0.02, 0.03])[j % 4]
        cls.theirs = [
            read_nrrd(f"DRO5min1secinf_reference-{name}.nrrd")[1][1:16, 1:13, 0].ravel() for name in ("ktrans", "ve")
        ]

    def errors(self):
        """Percent, (ours, PkModeling's) x (Ktrans, ve) x voxels."""
        ours = (self.fit.ktrans_per_min, self.fit.ve)
        true = (self.ktrans, self.ve)
        return np.array(
            [[100 * np.abs(f / t - 1) for f, t in zip(found, true, strict=True)] for found in (ours, self.theirs)]
        )

    def table(self):
        """Errors by vp beside those of PkModeling's own output."""
        errors = self.errors()
        lines = ["   vp   Ktrans %: median (largest), PkModeling's      ve %: median (largest), PkModeling's"]
        for vp in np.unique(self.vp):
            part = errors[:, :, self.vp == vp]
            cells = [
                f"{np.median(part[0, n]):.3f} ({part[0, n].max():.2f}), {np.median(part[1, n]):.1f} "
                f"({part[1, n].max():.0f})"
                for n in (0, 1)
            ]
            lines.append(f"{vp:5.2f}   {cells[0]:40s}   {cells[1]}")
        return "\n".join(lines)

    def test_the_frames_before_the_bolus_hold_no_agent(self):
        # without noise: the blood of the object brightens by 0.3 % in frame 26, by 7 % in frame 33
        self.assertGreaterEqual(self.before.size, 10)
        self.assertLess(np.abs(self.before / self.before[0] - 1.0).max(), 0.003)

    @against("Kinetic models", "extended Tofts object, 180 voxels, delay found", "pkmodeling", "ExtendedTofts.fit")
    def test_all_voxels(self):
        self.assertTrue(np.isin(self.fit.status, (FitStatus.FITTED, FitStatus.AT_BOUND)).all())
        for name, errors in zip(("Ktrans", "ve"), self.errors()[0], strict=True):
            self.assertEqual(errors.size, 180)
            measured(self, f"{name}, median", np.median(errors), 0.2, "%")
            measured(self, f"{name}, largest", errors, 3.0, "%")
        self.assertLessEqual(np.abs(self.fit.vp - self.vp).max(), 0.005)

    @against("Kinetic models", "the same, arrival of each voxel", "pkmodeling", "fit_delay")
    def test_delay(self):
        measured(self, "delay", self.delay_s - self.true_delay_s, 0.7, "s")

    @against(
        "Kinetic models", "the same, beside PkModeling's own output, for each vp", "pkmodeling", "ExtendedTofts.fit"
    )
    def test_beside_pkmodeling_at_each_plasma_volume(self):
        errors = self.errors()
        for vp in np.unique(self.vp):
            part = errors[:, :, self.vp == vp]
            for statistic in (np.median, np.max):
                ours, theirs = statistic(part, axis=2)
                measured(self, "our error over theirs, median and largest", ours / theirs, 0.2)


if __name__ == "__main__":
    unittest.main()
