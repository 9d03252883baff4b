"""A vertebral body with planted lesions, simulated apart from the phantom of the library.

Contrast, kinetics and place of each lesion are drawn at random from the ranges below; no threshold of the product was
chosen on them. The signal is that of a spoiled gradient echo written out here, the kinetics are integrated in small
steps from a gamma-variate input with a tail, and the noise is Rician.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLIP_ANGLE_DEG, TR_MS, R1_PER_S_MM, HEMATOCRIT = 30.0, 3.5, 6.3, 0.42
T10_MARROW_MS, T10_BLOOD_MS = 549.0, 1441.0
STEP_S = 0.1


def blood_mM(times_s):
    """Gamma-variate first pass, a second one, and a slow tail."""
    t = np.maximum(times_s, 0.0)
    first = (t / 6.0) ** 2.2 * np.exp(2.2 * (1.0 - t / 6.0)) * 5.5
    u = np.maximum(t - 12.0, 0.0)
    second = (u / 8.0) ** 2 * np.exp(2.0 * (1.0 - u / 8.0)) * 0.9
    return first + second + 0.95 * (1.0 - np.exp(-t / 8.0)) * np.exp(-t / 600.0)


def tofts_by_steps(times_s, plasma_mM, ktrans_per_min, kep_per_min):
    """Explicit midpoint steps of dC/dt = Ktrans Cp - kep C."""
    h = times_s[1] - times_s[0]
    c, out = 0.0, np.zeros(times_s.size)
    for n in range(1, times_s.size):
        middle = 0.5 * (plasma_mM[n] + plasma_mM[n - 1])
        half = c + 0.5 * h * (ktrans_per_min * plasma_mM[n - 1] - kep_per_min * c) / 60.0
        c += h * (ktrans_per_min * middle - kep_per_min * half) / 60.0
        out[n] = c
    return out


def spoiled_gradient_echo(r1_per_s, density):
    e1 = np.exp(-TR_MS * 1e-3 * r1_per_s)
    a = np.deg2rad(FLIP_ANGLE_DEG)
    return density * np.sin(a) * (1 - e1) / (1 - np.cos(a) * e1)


@dataclass
class Planted:
    """One realisation: (K, J, I) grids, frames (n, K, J, I), and what was planted where by kind."""

    frames: np.ndarray
    times_s: np.ndarray
    ijk_to_ras: np.ndarray
    segments: dict
    planted: dict
    ktrans_per_min: float


def vertebra(
    seed,
    kinds=("plexus", "bone-island", "haemangioma", "other-tissue"),
    snr=20.0,
    arrival_s=31.0,
    spacing_mm=(3.0, 1.4, 1.4),
    shading_per_mm=0.006,
):
    """A body of about 46 x 33 x 27 mm with the lesions of `kinds`, an aorta and muscle, in sagittal slices."""
    random = np.random.default_rng(seed)

    def uniform(low, high):
        return float(random.uniform(low, high))

    def logarithmic(low, high):
        return float(np.exp(random.uniform(np.log(low), np.log(high))))

    slice_mm, row_mm, column_mm = spacing_mm
    shape = (round(78 / slice_mm), round(40 / row_mm), round(95 / column_mm))
    matrix = np.zeros((4, 4))
    matrix[1, 0], matrix[2, 1], matrix[0, 2], matrix[3, 3] = -column_mm, -row_mm, slice_mm, 1.0
    k, j, i = np.indices(shape)
    right = slice_mm * (k - (shape[0] - 1) / 2)
    up = -row_mm * (j - (shape[1] - 1) / 2)
    back = column_mm * (i - (shape[2] - 1) / 2) - 12.0
    matrix[:3, 3] = right[0, 0, 0], -back[0, 0, 0], up[0, 0, 0]
    body = (np.abs(right / 23) ** 2.5 + np.abs(back / 16.5) ** 2.5 < 1) & (np.abs(up) < 13.5)
    artery = np.hypot(right + 8.0, back + 34.0) < 8.0

    marrow = dict(density=0.60, t1=uniform(480, 640), ktrans=logarithmic(0.06, 0.9), kep=uniform(0.6, 3.2))
    tissues = {"marrow": marrow}
    labels = np.full(shape, "muscle", dtype="U14")
    labels[body] = "marrow"
    tissues["muscle"] = dict(
        density=uniform(0.70, 0.80), t1=uniform(850, 1100), ktrans=logarithmic(0.03, 0.12), kep=uniform(0.5, 1.0)
    )
    tissues["artery"] = dict(density=0.95, t1=T10_BLOOD_MS)
    labels[artery] = "artery"
    planted = {}
    outline = body.copy()
    if "other-tissue" in kinds:  # the outline reaches into the muscle at one side
        side, depth = random.choice([-1, 1]), uniform(7, 11)
        beside = np.abs((right - side * depth) / 23) ** 2.5 + np.abs(back / 16.5) ** 2.5 < 1
        reach = beside & (np.abs(up) < 13.5) & (np.abs(back) < uniform(10, 16)) & ~artery
        outline |= reach
        planted["other-tissue"] = reach & ~body
    if "plexus" in kinds:
        length, width, height = uniform(12, 16), uniform(0.3, 0.6), uniform(2.5, 4.0)
        behind = back - (16.5 - length)
        where = (behind > 0) & (np.abs(right) < 2.5 + width * behind) & (np.abs(up) < height) & body
        planted["plexus"] = where
        tissues["plexus"] = dict(
            density=uniform(0.6, 0.9),
            t1=uniform(800, 1300),
            ktrans=marrow["ktrans"] * uniform(2.5, 5.0) + 0.6,
            kep=uniform(3.0, 6.0),
        )
        labels[where] = "plexus"
    if "bone-island" in kinds:
        center = uniform(-9, 9), uniform(-9, -4), uniform(-6, 6)
        where = (right - center[0]) ** 2 + (back - center[1]) ** 2 + (up - center[2]) ** 2 < uniform(4.5, 6.5) ** 2
        planted["bone-island"] = where & body
        tissues["bone-island"] = dict(density=uniform(0.04, 0.25), t1=uniform(450, 700), ktrans=0.0, kep=1.0)
        labels[planted["bone-island"]] = "bone-island"
    if "haemangioma" in kinds:
        center = random.choice([-1, 1]) * uniform(12, 14), uniform(-4, 4), uniform(-4, 4)
        where = (right - center[0]) ** 2 + (back - center[1]) ** 2 + (up - center[2]) ** 2 < uniform(5, 6.5) ** 2
        planted["haemangioma"] = where & body & (labels == "marrow")
        tissues["haemangioma"] = dict(
            density=uniform(0.62, 0.80),
            t1=uniform(280, 380),
            ktrans=marrow["ktrans"] * uniform(0.8, 2.0),
            kep=uniform(1, 3),
        )
        labels[planted["haemangioma"]] = "haemangioma"

    times_s = np.arange(80) * 3.0
    fine_s = np.arange(0.0, times_s[-1] + STEP_S, STEP_S)
    blood = blood_mM(fine_s - arrival_s) * (fine_s > arrival_s)
    plasma = blood / (1 - HEMATOCRIT)
    signal = np.zeros((*shape, times_s.size))
    for name, tissue in tissues.items():
        c = blood if name == "artery" else tofts_by_steps(fine_s, plasma, tissue["ktrans"], tissue["kep"])
        curve = spoiled_gradient_echo(
            1000.0 / tissue["t1"] + R1_PER_S_MM * np.interp(times_s, fine_s, c), tissue["density"]
        )
        signal[labels == name] = curve
    shading = np.exp(shading_per_mm * (uniform(-1, 1) * back + uniform(-0.7, 0.7) * right))
    signal *= 20000.0 * shading[..., np.newaxis]
    sigma = signal[labels == "marrow"][:, 0].mean() / snr
    noise = random.standard_normal((2, *signal.shape)) * sigma
    noisy = np.hypot(signal + noise[0], noise[1])
    frames = np.moveaxis(np.rint(noisy).astype(np.uint16), -1, 0)
    return Planted(frames, times_s, matrix, {"L3": outline, "aorta": artery}, planted, marrow["ktrans"])
