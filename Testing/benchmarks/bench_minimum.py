"""How far above the minimum the fits end: their sums of squares beside those of a search that only has to be sure.

    python Testing/benchmarks/bench_minimum.py --output minimum.md

Each model fits noisy curves that it generated itself. The references share no code with the library: for the models
with one nonlinear parameter all of a dense grid of it, then golden sections around the best three minima; for the
exchange model damped least squares from many random starts per voxel, which scipy checks in turn. Each sum of squares
is of the exact curve at the parameters, of the fit as of the reference.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from bench_kinetics import FRAME_S, FRAMES, SEED, SNR, convolve, plasma_curve, table
from DCEPerfusionBMDLib.kinetics import ExtendedTofts, FitStatus, Patlak, ReferenceRegion, Tofts, TwoCompartmentExchange
from scipy import interpolate, optimize

FloatArray = npt.NDArray[np.float64]

STEP_MIN = FRAME_S / 60.0
KTRANS, KEP_TOFTS, KEP_REFERENCE = (1e-4, 5.0), (1e-4, 5000.0), (1e-3, 50.0)
VE, VP, RATIO = (1e-3, 1.0), (0.0, 0.3), (1e-3, 100.0)
EXCHANGE_BOX = np.log([(1e-4, 5.0), (1e-4, 5.0), (1e-3, 1.0), (1e-3, 1.0)])
EXCHANGE_RANGES = np.log([(0.05, 2.0), (0.02, 1.0), (0.01, 0.2), (0.05, 0.5)])

GRID, MINIMA, GOLDEN_STEPS = 3000, 3, 45
STARTS, CHECKED = 256, 200
ROUNDS = ((STARTS, 40), (32, 110), (8, 300), (2, 3000))  # runs of a voxel, the best so far, and their steps
CHUNK_VOXELS, EXCHANGE_VOXELS = 500, 50  # what is worked on at once
TOLERANCE = 1e-6
LISTED = 20
STATUSES = (FitStatus.FITTED, FitStatus.AT_BOUND, FitStatus.NO_ENHANCEMENT)


# One nonlinear parameter


def least_in_polygon(
    sums: tuple[FloatArray, ...], corners: list[tuple[FloatArray, FloatArray]]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Least |x h + y f - c|^2 - |c|^2 and its x and y in a convex polygon (two corners: on a segment).

    `sums` are h.c, h.h, h.f, f.c and f.f.
    """
    p, q, b, a, g = sums

    def value(x: FloatArray, y: FloatArray) -> FloatArray:
        return x * (x * q + 2.0 * y * b - 2.0 * p) + y * (y * g - 2.0 * a)

    best = x_best = y_best = np.full(np.shape(p), np.inf)
    if len(corners) > 2:
        with np.errstate(divide="ignore", invalid="ignore"):
            x, y = (p * g - a * b) / (q * g - b * b), (a * q - p * b) / (q * g - b * b)
            inside = np.full(np.shape(p), True)
            for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
                inside &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0
            x_best, y_best = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
            best = np.where(inside, value(x_best, y_best), np.inf)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        dx, dy = x1 - x0, y1 - y0
        slope = p * dx + a * dy - q * x0 * dx - g * y0 * dy - b * (x0 * dy + y0 * dx)
        t = np.clip(slope / np.maximum(q * dx * dx + 2.0 * b * dx * dy + g * dy * dy, 1e-300), 0.0, 1.0)
        x, y = x0 + t * dx, y0 + t * dy
        here = value(x, y)
        better = here < best
        best, x_best, y_best = (np.where(better, new, old) for new, old in ((here, best), (x, x_best), (y, y_best)))
    return best, x_best, y_best


@dataclass
class OneRate:
    """A model x h(kep) + y f, with (x, y) in a polygon that depends on kep."""

    driver: FloatArray
    fixed: FloatArray
    rates: tuple[float, float]
    corners: Callable[[FloatArray], list[tuple[FloatArray, FloatArray]]]

    def reference(self, data: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """x, kep and y of the least sum of squares."""
        parts = [self._part(data[start : start + CHUNK_VOXELS]) for start in range(0, len(data), CHUNK_VOXELS)]
        x, kep, y = (np.concatenate(of) for of in zip(*parts, strict=True))
        return x, kep, y

    def _part(self, data: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        theta = np.linspace(*np.log(self.rates), GRID)
        h = convolve(self.driver, STEP_MIN, np.exp(theta))
        a, g = data @ self.fixed, self.fixed @ self.fixed
        sums = (data @ h.T, np.square(h).sum(axis=1), h @ self.fixed, a[:, np.newaxis], g)
        values = np.pad(
            least_in_polygon(sums, self.corners(np.exp(theta)))[0], ((0, 0), (1, 1)), constant_values=np.inf
        )
        middle = values[:, 1:-1]
        lowest = np.where((middle <= values[:, :-2]) & (middle <= values[:, 2:]), middle, np.inf)
        at = np.argsort(lowest, axis=1)[:, :MINIMA].T.ravel()
        voxel = np.tile(np.arange(len(data)), MINIMA)
        c, a = data[voxel], a[voxel]

        def least(theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
            h = convolve(self.driver, STEP_MIN, np.exp(theta))
            sums = ((h * c).sum(axis=1), np.square(h).sum(axis=1), h @ self.fixed, a, g)
            return least_in_polygon(sums, self.corners(np.exp(theta)))

        found = golden(lambda theta: least(theta)[0], theta[np.maximum(at - 1, 0)], theta[np.minimum(at + 1, GRID - 1)])
        value, x, y = least(found)
        first = np.argmin(value.reshape(MINIMA, -1), axis=0) * len(data) + np.arange(len(data))
        return x[first], np.exp(found[first]), y[first]


def golden(value: Callable[[FloatArray], FloatArray], left: FloatArray, right: FloatArray) -> FloatArray:
    """Where a function of one number per voxel is least, by golden sections; the ends count too."""
    ends, ratio = (left, right), (np.sqrt(5.0) - 1.0) / 2.0
    for _ in range(GOLDEN_STEPS):
        inner, outer = right - ratio * (right - left), left + ratio * (right - left)
        lower = value(inner) < value(outer)
        left, right = np.where(lower, left, inner), np.where(lower, outer, right)
    candidates = np.stack((0.5 * (left + right), *ends))
    best = np.argmin([value(each) for each in candidates], axis=0)
    return candidates[best, np.arange(best.size)]


# The exchange model


class Exchange:
    """Damped least squares for many voxels in the logarithms of Fp, PS, vp and ve, held in the box one by one."""

    def __init__(self, plasma: FloatArray) -> None:
        logs = np.linspace(np.log(2e-5), np.log(3e4), 5000)
        curves = convolve(plasma, STEP_MIN, np.exp(logs))
        _, singular, rows = np.linalg.svd(curves / np.linalg.norm(curves, axis=1, keepdims=True), full_matrices=False)
        self.basis = rows[singular > 1e-11 * singular[0]].T
        self._curve = interpolate.CubicSpline(logs, curves @ self.basis)
        self._slope = self._curve.derivative()

    def residual(self, logs: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Residual (n, r), curves and slopes (n, r, 4), and how these make up the Jacobian (n, 4, 4)."""
        # the derivative of an analytic function is the imaginary part at an imaginary step
        by = np.stack([np.stack(logs_and_flows(logs + 1e-30j * row), axis=-1).imag / 1e-30 for row in np.eye(4)], -1)
        log_slow, log_fast, slow, fast = logs_and_flows(logs)
        curves = [each(at) for at in (log_slow, log_fast) for each in (self._curve, self._slope)]
        mix = np.stack((by[:, 2], slow[:, np.newaxis] * by[:, 0], by[:, 3], fast[:, np.newaxis] * by[:, 1]), axis=1)
        residual = slow[:, np.newaxis] * curves[0] + fast[:, np.newaxis] * curves[2] - y
        return residual, np.stack(curves, axis=-1), mix

    def sums(self, logs: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sum of squares, half its gradient and the normal matrix."""
        residual, curves, mix = self.residual(logs, y)
        turned = np.swapaxes(curves, 1, 2)
        gradient = np.swapaxes(mix, 1, 2) @ (turned @ residual[:, :, np.newaxis])
        return np.square(residual).sum(axis=1), gradient[:, :, 0], np.swapaxes(mix, 1, 2) @ (turned @ curves) @ mix

    def descend(self, logs: FloatArray, y: FloatArray, rest: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
        """Ends of the runs from `logs` and their sums of squares."""
        low, high = EXCHANGE_BOX.T
        end, least = logs.copy(), np.empty(len(logs))
        active, damping = np.arange(len(logs)), np.full(len(logs), 1e-2)
        squares, gradient, normal = self.sums(logs, y)
        for _ in range(steps):
            held = ((logs <= low) & (gradient > 0)) | ((logs >= high) & (gradient < 0))
            slope = np.where(held, 0.0, gradient)
            matrix = np.where(held[:, :, np.newaxis] | held[:, np.newaxis, :], 0.0, normal)
            size = np.einsum("vii->vi", matrix)
            added = damping[:, np.newaxis] * np.maximum(size, 1e-6 * size.max(axis=1, keepdims=True)) + 1e-300
            matrix[:, range(4), range(4)] += np.where(held, 1.0, added)
            step = -np.linalg.solve(matrix, slope[:, :, np.newaxis])[:, :, 0]
            flat = -(slope * step).sum(axis=1) * (1.0 + damping) < 1e-13 * (squares + rest)
            going = ~flat & (damping < 1e12)
            end[active], least[active] = logs, squares
            if not going.any():
                break
            active, logs, step, damping = active[going], logs[going], step[going], damping[going]
            squares, gradient, normal, y, rest = squares[going], gradient[going], normal[going], y[going], rest[going]
            new = np.clip(logs + np.clip(step, -2.0, 2.0), low, high)
            then = self.sums(new, y)
            lower = then[0] < squares
            logs[lower], squares[lower], gradient[lower], normal[lower] = new[lower], *(of[lower] for of in then)
            damping = np.where(lower, np.maximum(0.2 * damping, 1e-12), 4.0 * damping)
        end[active], least[active] = logs, squares
        return end, least

    def reference(self, data: FloatArray, truth: FloatArray, random: np.random.Generator) -> FloatArray:
        """Logarithms of the parameters of the least sum of squares from random starts and from the truth."""
        found = np.empty((len(data), 4))
        for start in range(0, len(data), EXCHANGE_VOXELS):
            part = slice(start, start + EXCHANGE_VOXELS)
            y, count = data[part] @ self.basis, len(data[part])
            rest = np.square(data[part]).sum(axis=1) - np.square(y).sum(axis=1)
            end = random.uniform(*EXCHANGE_BOX.T, (STARTS * count, 4))
            end[:count] = truth[part]
            voxel = np.tile(np.arange(count), STARTS)
            least = np.zeros(voxel.size)
            for runs, steps in ROUNDS:
                order = np.lexsort((least, voxel)).reshape(count, -1)[:, :runs].T.ravel()
                voxel = voxel[order]
                end, least = self.descend(end[order], y[voxel], rest[voxel], steps)
            first = np.argmin(least.reshape(-1, count), axis=0) * count + np.arange(count)
            found[part] = end[first]
        return found

    def by_scipy(self, data: FloatArray, random: np.random.Generator) -> FloatArray:
        """The same by scipy from 16 starts per voxel."""
        low, high = EXCHANGE_BOX.T

        def jacobian(logs: FloatArray, y: FloatArray) -> FloatArray:
            _, curves, mix = self.residual(logs[np.newaxis], y)
            return curves[0] @ mix[0]

        found = []
        for y in data @ self.basis:
            runs = [
                optimize.least_squares(
                    lambda logs, y: self.residual(logs[np.newaxis], y)[0][0],
                    random.uniform(low, high),
                    jacobian,
                    (low, high),
                    ftol=1e-12,
                    xtol=1e-12,
                    gtol=1e-14,
                    max_nfev=60,
                    args=(y,),
                )
                for _ in range(16)
            ]
            found.append(min(runs, key=lambda run: run.cost).x)
        return np.array(found)


def logs_and_flows(logs: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """Logarithms of the slow and the fast rate, and the flows that belong to them; for complex numbers too."""
    fp, ps, vp, ve = np.exp(logs).T
    a, b, c = fp / vp, ps / vp, ps / ve
    root = np.sqrt((a + b - c) ** 2 + 4.0 * b * c)
    fast = 0.5 * (a + b + c + root)
    slow_flow = fp * (fast - a) / root
    return np.log(a * c / fast), np.log(fast), slow_flow, fp - slow_flow


# Cases


@dataclass
class Case:
    """A model, its noisy data, and the exact curves of parameters in the order of its `free`."""

    name: str
    model: Any
    data: FloatArray
    curves: Callable[[FloatArray], FloatArray]
    reference: Callable[[FloatArray], FloatArray]
    check: Callable[[FloatArray], FloatArray] | None = None


def cases(voxels: int) -> list[Case]:
    random = np.random.default_rng(SEED)
    times_s = np.arange(FRAMES) * FRAME_S
    plasma = plasma_curve(times_s)
    area = np.concatenate(([0.0], np.cumsum(0.5 * (plasma[1:] + plasma[:-1]) * STEP_MIN)))
    tissue = 0.15 * convolve(plasma, STEP_MIN, np.array([1.2]))[0]

    def column(low: float, high: float) -> FloatArray:
        return random.uniform(low, high, voxels)

    ktrans, ve = np.exp(random.uniform(*np.log((0.05, 1.2)), 3 * voxels)), random.uniform(0.05, 0.6, 3 * voxels)
    slow = np.flatnonzero(ktrans / ve <= 6.0)[:voxels]
    ktrans, kep = ktrans[slow], ktrans[slow] / ve[slow]
    logs = random.uniform(*EXCHANGE_RANGES.T, (voxels, 4))

    def tofts(p: FloatArray) -> FloatArray:
        return p[0][:, np.newaxis] * convolve(plasma, STEP_MIN, p[1])

    def extended_tofts(p: FloatArray) -> FloatArray:
        return tofts(p) + p[2][:, np.newaxis] * plasma

    def patlak(p: FloatArray) -> FloatArray:
        return p.T @ np.stack((area, plasma))

    def relative(p: FloatArray) -> FloatArray:
        ratio, kep, other = p
        return ratio[:, np.newaxis] * (tissue + (other - kep)[:, np.newaxis] * convolve(tissue, STEP_MIN, kep))

    def exchange(p: FloatArray) -> FloatArray:
        *rates, slow, fast = logs_and_flows(np.log(p).T)
        of_slow, of_fast = (convolve(plasma, STEP_MIN, np.exp(rate)) for rate in rates)
        return (slow * of_slow.T + fast * of_fast.T).T

    def ktrans_ends(kep: FloatArray) -> tuple[FloatArray, FloatArray]:
        return np.maximum(KTRANS[0], VE[0] * kep), np.minimum(KTRANS[1], VE[1] * kep)

    def segment(kep: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        return [(end, np.zeros_like(kep)) for end in ktrans_ends(kep)]

    def rectangle(x: tuple[FloatArray, FloatArray], y: tuple[float, float]) -> list[tuple[FloatArray, FloatArray]]:
        return [(x[i], np.full_like(x[i], y[j])) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]

    def wedge(kep: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        ends = [[(r * (other - kep), np.full_like(kep, r)) for other in KEP_REFERENCE] for r in RATIO]
        return [*ends[0], *reversed(ends[1])]

    one = OneRate(plasma, np.zeros(FRAMES), KEP_TOFTS, segment)
    extended = OneRate(plasma, plasma, KEP_TOFTS, lambda kep: rectangle(ktrans_ends(kep), VP))
    region = OneRate(tissue, tissue, KEP_REFERENCE, wedge)

    def of_patlak(data: FloatArray) -> FloatArray:
        products = (data @ area, area @ area, area @ plasma, data @ plasma, plasma @ plasma)
        ends = tuple(np.full(len(data), end) for end in KTRANS)
        return np.stack(least_in_polygon(products, rectangle((ends[0], ends[1]), VP))[1:])

    def of_region(data: FloatArray) -> FloatArray:
        amplitude, kep, ratio = region.reference(data)
        return np.stack((ratio, kep, kep + amplitude / ratio))

    solver = Exchange(plasma)
    found = []
    for name, kind, truth, curves, reference in (
        ("Tofts", Tofts, (ktrans, kep), tofts, lambda data: np.stack(one.reference(data)[:2])),
        (
            "Extended Tofts",
            ExtendedTofts,
            (ktrans, kep, column(0.01, 0.1)),
            extended_tofts,
            lambda data: np.stack(extended.reference(data)),
        ),
        ("Patlak", Patlak, (ktrans, column(0.0, 0.25)), patlak, of_patlak),
        ("Reference region", ReferenceRegion, (column(0.3, 4.0), kep, column(0.3, 4.0)), relative, of_region),
        (
            "Two-compartment exchange",
            TwoCompartmentExchange,
            np.exp(logs.T),
            exchange,
            lambda data: np.exp(solver.reference(data, logs, random).T),
        ),
    ):
        clean = curves(np.stack(truth))
        data = clean + clean.max(axis=1, keepdims=True) / SNR * random.standard_normal(clean.shape)
        model = kind(times_s, tissue if kind is ReferenceRegion else plasma)
        found.append(Case(name, model, data, curves, reference))
    found[-1].check = lambda data: np.exp(solver.by_scipy(data, random).T)
    return found


# The page


def measure(case: Case) -> tuple[list[str], list[str]]:
    """The row of a model, and a line for each voxel above the tolerance."""
    start = time.process_time()

    def squares(parameters: FloatArray, count: int) -> FloatArray:
        return np.square(case.curves(parameters) - case.data[:count]).sum(axis=1)

    count = len(case.data)
    fit = case.model.fit(case.data)
    parameters = np.stack([getattr(fit, name) for name in case.model.free])
    known = np.isfinite(parameters).all(axis=0)
    found = np.where(known, squares(np.where(known, parameters, 1.0), count), np.square(case.data).sum(axis=1))
    reference = case.reference(case.data)
    least = squares(reference, count)
    beside_scipy = "-"
    if case.check:
        checked = min(CHECKED, count)
        by_scipy = squares(case.check(case.data[:checked]), checked)
        beside_scipy = scientific((least[:checked] / by_scipy - 1.0).max())
    excess = np.where(np.isnan(found), np.inf, found / least - 1.0)
    above = np.flatnonzero(excess > TOLERANCE)
    statuses = [f"{np.count_nonzero(fit.status == status):,}" for status in STATUSES]
    lines = [
        f"{case.name}, voxel {voxel} ({FitStatus(int(fit.status[voxel])).label}): {excess[voxel]:.3g} above; "
        f"{listed(case.model.free, parameters[:, voxel])}, reference {listed(case.model.free, reference[:, voxel])}"
        for voxel in above[np.argsort(-excess[above])][:LISTED]
    ]
    print(f"{case.name}: {time.process_time() - start:.0f} s of CPU time", flush=True)
    row = [case.name, f"{count:,}", scientific(excess.max()), f"{above.size:,}", *statuses]
    return [*row, scientific(-excess.min()), beside_scipy], lines


def scientific(value: float) -> str:
    return f"{value:.1e}" if value > 0 else "0"


def listed(names: tuple[str, ...], values: FloatArray) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in zip(names, values, strict=True))


def section(rows: list[list[str]], lines: list[str], voxels: int) -> str:
    header = ["model", "voxels", "largest excess", f"above {TOLERANCE:g}", *(status.label for status in STATUSES)]
    header += ["reference above the fit", "reference above scipy"]
    parts = [
        "## The minimum",
        "Written by `Testing/benchmarks/bench_minimum.py`.",
        f"Each model fits {voxels:,} curves of {FRAMES} frames x {FRAME_S:g} s that it generated itself, with noise of "
        f"peak / {SNR:g}. Excess is (residual sum of squares) / (that of the reference) - 1, both of exact curves. The "
        f"reference is the best of {GRID:,} values of kep, refined by golden sections, or for the exchange model the "
        f"best of {STARTS} runs per voxel from random starts and the truth. The last columns say by how much the "
        f"reference itself falls short at most: of the fit, and of scipy's `least_squares` from 16 starts in the first "
        f"{min(CHECKED, voxels)} voxels. LinearTofts is left out; it does not minimize this sum.",
        table(header, rows),
    ]
    if lines:
        parts.append(
            f"Voxels above {TOLERANCE:g}, at most {LISTED} per model:\n\n" + "\n".join(f"- {of}" for of in lines)
        )
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    parser.add_argument("--voxels", type=int, default=10_000, help="voxels per model")
    options = parser.parse_args()
    measured = [measure(case) for case in cases(options.voxels)]
    text = section([row for row, _ in measured], [line for _, lines in measured for line in lines], options.voxels)
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
