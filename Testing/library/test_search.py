"""The searches beneath the exchange model: bounded steps for many runs at once, and the best pair of exponentials."""

import itertools
import unittest

import numpy as np
from DCEPerfusionBMDLib.kinetics import parker_blood_concentration, plasma_from_blood
from DCEPerfusionBMDLib.kinetics.biexponential import Biexponential
from DCEPerfusionBMDLib.kinetics.levenberg import Runs
from DCEPerfusionBMDLib.kinetics.response import response
from scipy import optimize

SLOWEST, FASTEST = 2.5e-5, 15000.0  # what the bounds of the exchange model allow
HALF = 3.0  # rate in the middle of the scale that the references below are evenly spaced on


class LinearProblems:
    """Problems of four strongly correlated parameters in a box that many of the minima lie on the faces of.

    Attributes
    ----------
    least : the sums of squares that scipy's active-set method finds.
    faces : how many parameters of each of these minima lie on a face.
    """

    def __init__(self, count, noise, seed):
        random = np.random.default_rng(seed)
        left, right = (np.linalg.qr(random.standard_normal((count, n, 4)))[0] for n in (12, 4))
        condition = np.exp(random.uniform(np.log(1e3), np.log(1e4), (count, 1)))
        self.matrices = np.einsum("vni,vi,vji->vnj", left, condition ** -np.linspace(0.0, 1.0, 4), right)
        self.low, self.high = random.uniform(-2.0, -0.5, 4), random.uniform(0.5, 2.0, 4)
        self.data = np.einsum("vnj,vj->vn", self.matrices, random.uniform(-1.5, 1.5, (count, 4)))
        self.data += noise * random.standard_normal(self.data.shape)
        self.inside = random.uniform(self.low, self.high, (count, 4)).T
        solved = [
            optimize.lsq_linear(*each, (self.low, self.high), method="bvls", tol=1e-15)
            for each in zip(self.matrices, self.data, strict=True)
        ]
        self.least = np.array([2.0 * each.cost for each in solved])
        self.faces = np.array([np.count_nonzero(each.active_mask) for each in solved])

    def sums(self, parameters, tags):
        matrices = self.matrices[tags]
        residual = np.einsum("vnj,jv->vn", matrices, parameters) - self.data[tags]
        normal = np.einsum("vni,vnj->ijv", matrices, matrices)
        return np.square(residual).sum(axis=1), np.einsum("vnj,vn->jv", matrices, residual), normal

    def runs(self, starts, tags):
        return Runs(self.sums, lambda squares, _: 1e-10 * squares, starts, tags, self.low, self.high)


class BoundedLeastSquares(unittest.TestCase):
    def assert_arrived(self, runs, least):
        np.testing.assert_array_equal(runs.promise, 0.0)
        excess = runs.squares / least[runs.tags] - 1.0
        wrong = np.flatnonzero(excess > 1e-8)
        self.assertLess(excess.max(), 1e-8, f"{wrong.size} of {excess.size} runs, problems {runs.tags[wrong]}")

    def test_linear_problems_from_inside_the_box(self):
        problems = LinearProblems(400, 1e-3, seed=1)
        self.assertTrue((np.bincount(problems.faces, minlength=4)[:4] > 20).all(), "too few minima on faces or edges")
        runs = problems.runs(problems.inside, np.arange(400))
        runs.advance(60)
        self.assert_arrived(runs, problems.least)

    def test_starts_in_wrong_corners_leave_them(self):
        problems = LinearProblems(1000, 1.0, seed=2)
        ends = np.stack((problems.low, problems.high), axis=1)
        corners = np.array(list(itertools.product(*ends))).T
        with np.errstate(divide="ignore", invalid="ignore"):
            runs = problems.runs(np.tile(corners, 1000), np.repeat(np.arange(1000), 16))
            runs.advance(60)
        self.assert_arrived(runs, problems.least)

    def test_parameters_stay_in_the_box(self):
        problems = LinearProblems(200, 1e-1, seed=3)
        runs = problems.runs(10.0 * problems.inside, np.arange(200))
        for _ in range(10):
            np.testing.assert_array_equal(np.clip(runs.parameters.T, problems.low, problems.high), runs.parameters.T)
            np.testing.assert_array_equal(runs.squares, problems.sums(runs.parameters, runs.tags)[0])
            runs.advance(1)

    def test_promise_is_the_decrease_to_the_minimum(self):
        """Closed form: orthogonal columns, where damping changes every step by the same factor."""
        problems = LinearProblems(50, 1e-1, seed=4)
        problems.matrices = np.linalg.qr(problems.matrices)[0] * np.array([1.0, 0.3, 0.1, 0.03])
        problems.low, problems.high = np.full(4, -1e6), np.full(4, 1e6)
        runs = problems.runs(problems.inside, np.arange(50))
        runs.advance(0)
        minimum = [np.linalg.lstsq(*each)[1][0] for each in zip(problems.matrices, problems.data, strict=True)]
        np.testing.assert_allclose(runs.promise, runs.squares - minimum, rtol=1e-9)

    def test_keep_keeps_the_state_in_step(self):
        problems = LinearProblems(300, 1.0, seed=5)
        starts = np.where(problems.inside > 0, problems.low[:, np.newaxis], problems.high[:, np.newaxis])
        with np.errstate(divide="ignore", invalid="ignore"):
            whole, kept = (problems.runs(starts, np.arange(300)) for _ in range(2))
            whole.advance(2)
            kept.advance(1)
            order = np.random.default_rng(6).permutation(300)[:200]
            kept.keep(order)
            np.testing.assert_array_equal(kept.tags, order)
            some = kept.squares > np.quantile(kept.squares, 0.2)
            kept.keep(some)
            kept.advance(1)
        np.testing.assert_array_equal(kept.tags, order[some])
        going = kept.promise > 0
        self.assertGreater(going.sum(), 5)
        np.testing.assert_array_equal(going, whole.promise[kept.tags] > 0)
        np.testing.assert_allclose(kept.squares, whole.squares[kept.tags], rtol=1e-9)
        np.testing.assert_allclose(kept.promise, whole.promise[kept.tags], rtol=1e-4)

    def test_exponential_curves(self):
        """a exp(-k t) + c, many with parameters outside the box, against scipy from the same starts."""
        count, low, high = 150, np.array([0.2, 0.1, 0.0]), np.array([2.0, 3.0, 0.5])
        random, times = np.random.default_rng(7), np.linspace(0.0, 3.0, 30)
        truth = random.uniform((0.15, 0.05, -0.1), (2.2, 3.5, 0.6), (count, 3))

        def curves(p):
            decay = np.exp(-p[1] * times[:, np.newaxis])
            return p[0] * decay + p[2], np.stack((decay, -p[0] * times[:, np.newaxis] * decay, np.ones_like(decay)))

        data = curves(truth.T)[0] + 0.02 * random.standard_normal((30, count))

        def sums(parameters, tags):
            fitted, jacobian = curves(parameters)
            residual = fitted - data[:, tags]
            gradient = np.einsum("ptv,tv->pv", jacobian, residual)
            return np.square(residual).sum(axis=0), gradient, np.einsum("ptv,qtv->pqv", jacobian, jacobian)

        starts, tags = low + np.array([[0.2], [0.8]]) * (high - low), np.tile(np.arange(count), 2)
        runs = Runs(sums, lambda squares, _: 1e-12 * squares, np.repeat(starts, count, axis=0).T, tags, low, high)
        runs.advance(60)
        np.testing.assert_array_equal(runs.promise, 0.0)
        found = runs.squares.reshape(2, count).min(axis=0)
        on_face = 0
        for voxel in range(count):
            solved = [
                optimize.least_squares(
                    lambda p, of: curves(p[:, np.newaxis])[0][:, 0] - of,
                    start,
                    lambda p, _: curves(p[:, np.newaxis])[1][:, :, 0].T,
                    (low, high),
                    ftol=1e-15,
                    xtol=1e-15,
                    gtol=1e-15,
                    args=(data[:, voxel],),
                )
                for start in starts
            ]
            best = min(solved, key=lambda each: each.cost)
            on_face += bool((np.minimum(best.x - low, high - best.x) < 1e-6).any())
            self.assertLess(found[voxel] / (2.0 * best.cost) - 1.0, 1e-8, f"voxel {voxel}")
        self.assertTrue(30 < on_face < 120, on_face)


class TwoExponentials(unittest.TestCase):
    """Noisy curves of two exponentials, and some of one, weighted, against exact responses."""

    count, few = 2500, 90  # references by scipy for a few

    @classmethod
    def setUpClass(cls):
        times_s = 6.0 * np.arange(50)
        plasma = plasma_from_blood(parker_blood_concentration((times_s - 30.0) / 60.0), 0.42)
        random = np.random.default_rng(8)
        cls.roots = random.uniform(0.5, 1.5, 50)
        cls.responses = staticmethod(lambda rate: response(times_s / 60.0, plasma, rate))
        rates = np.exp(random.uniform(np.log([0.05, 0.5]), np.log([5.0, 30.0]), (cls.count, 2)).T)
        flows = np.exp(random.uniform(np.log(0.03), np.log(1.0), (2, cls.count)))
        flows[1, 60 : cls.few] = 0.0
        data = sum(flow[:, np.newaxis] * cls.weighted(rate) for flow, rate in zip(flows, rates, strict=True))
        cls.data = data + data.max(axis=1, keepdims=True) / 20.0 * random.standard_normal(data.shape)
        cls.squares = np.square(cls.data).sum(axis=1)
        cls.table = Biexponential(lambda rate: cls.responses(rate)[0], SLOWEST, FASTEST, cls.roots)
        cls.coordinates = (cls.data @ cls.table.basis).T
        cls.scanned = (cls.data @ cls.units(2001)[1].T).max(axis=1) ** 2
        with np.errstate(all="ignore"):
            cls.pairs = cls.table.pairs(cls.coordinates, cls.squares)

    @classmethod
    def weighted(cls, rate):
        return cls.responses(rate)[0] * cls.roots

    @classmethod
    def units(cls, count):
        """Evenly spaced places, the exact curves there divided by their norms, and these."""
        x = np.linspace(place_of(SLOWEST), place_of(FASTEST), count)
        curves = cls.weighted(rate_at(x))
        norms = np.linalg.norm(curves, axis=1)
        return x, curves / norms[:, np.newaxis], norms

    def test_curves_and_their_derivatives(self):
        table = self.table
        low, high = table.place(np.array([SLOWEST, FASTEST]))
        x = np.random.default_rng(9).uniform(low + 2e-3, high - 2e-3, 400)
        found = [table.basis @ each for each in table.curves(x, 2)]
        value, further, nearer = (self.weighted(table.rate(x + step)) for step in (0.0, 1e-5, -1e-5))
        more, less = (self.weighted(table.rate(x + step)) for step in (1e-3, -1e-3))
        expected = (value, (further - nearer) / 2e-5, (more - 2.0 * value + less) / 1e-6)
        for order, tolerance in enumerate((1e-6, 1e-6, 5e-4)):
            error = np.linalg.norm(found[order].T - expected[order], axis=1)
            self.assertLess((error / np.linalg.norm(expected[order], axis=1)).max(), tolerance, f"derivative {order}")
        np.testing.assert_allclose(table.basis.T @ table.basis, np.eye(table.basis.shape[1]), atol=1e-12)

    def test_single_is_the_best_of_a_dense_scan(self):
        data = self.data[:200]
        x, amplitude, explained = self.table.single(self.coordinates[:, :200])
        scanned = (data @ self.units(20001)[1].T).max(axis=1) ** 2
        rest = self.squares[:200] - scanned
        exact = self.weighted(self.table.rate(x))
        exactly = amplitude * (2.0 * np.einsum("vt,vt->v", data, exact) - amplitude * np.square(exact).sum(axis=1))
        self.assertLess(((scanned - exactly) / rest).max(), 1e-9)
        np.testing.assert_allclose((explained - exactly) / rest, 0.0, atol=1e-6)

    def test_single_of_a_curve_below_zero_explains_nothing(self):
        self.assertTrue((self.table.single(-self.coordinates[:, :20])[2] == 0).all())

    def test_pairs_explain_what_exact_curves_do(self):
        pairs, rest = self.pairs, self.squares - self.scanned
        self.assertTrue((pairs.amplitude[:, pairs.converged] > 0).all())
        angles = np.arange(8) * np.pi / 4.0
        apart = np.stack((np.cos(angles), np.sin(angles)), axis=1)
        converged = np.flatnonzero(pairs.converged & (pairs.voxel < self.few))
        self.assertGreater(converged.size, 60)
        for n in converged:
            voxel = pairs.voxel[n]
            curves = self.weighted(self.table.rate(pairs.x[:, n])).T
            amplitude, distance = optimize.nnls(curves, self.data[voxel])
            explained = self.squares[voxel] - distance**2
            self.assertLess(abs(explained - pairs.explained[n]), 1e-6 * rest[voxel], f"voxel {voxel}")
            difference = np.linalg.norm(curves @ (amplitude - pairs.amplitude[:, n]))
            self.assertLess(difference, 1e-5 * np.sqrt(rest[voxel]), f"voxel {voxel}")
            for near in np.clip(pairs.x[:, n] + 1e-3 * apart, self.table.x[0], self.table.x[-1]):
                _, distance = optimize.nnls(self.weighted(self.table.rate(near)).T, self.data[voxel])
                more = self.squares[voxel] - distance**2 - explained
                self.assertLess(more, 1e-8 * rest[voxel], f"voxel {voxel}: no maximum at {pairs.x[:, n]}")

    def test_pairs_are_the_best_of_a_grid_polished_by_scipy(self):
        compared = 0
        for voxel, (best, rates) in enumerate(zip(*self.reference_pairs(), strict=True)):
            if rates is None:
                continue
            exactly = -np.inf
            for n in np.flatnonzero((self.pairs.voxel == voxel) & self.pairs.converged):
                curves = self.weighted(self.table.rate(self.pairs.x[:, n])).T
                exactly = max(exactly, self.squares[voxel] - optimize.nnls(curves, self.data[voxel])[1] ** 2)
            # Newton's method ends where its step promises less than 1e-9 of the residual
            self.assertLess((best - exactly) / (self.squares[voxel] - best), 2e-9, f"voxel {voxel}, rates {rates}")
            compared += 1
        self.assertGreater(compared, 35)

    def test_hardly_any_curve_has_a_better_pair_on_a_grid(self):
        x, units, _ = self.units(201)
        first, second = np.triu_indices(x.size, 1)
        cosine = (units @ units.T)[first, second]
        sine = np.sqrt(1.0 - cosine**2)
        best, at = np.empty(self.count), np.empty(self.count, dtype=int)
        for start in range(0, self.count, 50):
            score = self.data[start : start + 50] @ units.T
            one, other = score[:, first], score[:, second]
            beside = other - cosine * one
            value = np.where((beside > 0) & (one > cosine * other), one**2 + (beside / sine) ** 2, 0.0)
            best[start : start + 50], at[start : start + 50] = value.max(axis=1), value.argmax(axis=1)
        found, converged = np.zeros(self.count), self.pairs.converged
        np.maximum.at(found, self.pairs.voxel[converged], self.pairs.explained[converged])
        rest = self.squares - best
        clear = inside(x[first[at]], x[second[at]]) & (best - self.scanned > 1e-3 * rest)
        self.assertGreater(clear.sum(), 1000)
        missed = np.flatnonzero(clear & (best - found > 1e-6 * rest))
        self.assertLessEqual(missed.size, 0.003 * clear.sum(), f"voxels {missed}")

    def reference_pairs(self):
        """What the best pair of exact responses explains, and its rates; None where that is one exponential in truth.

        None too where a rate lies near an end of the range, in which curves hardly differ from the end's.
        """
        x, units, norms = self.units(201)
        low, high = x[0], x[-1]
        cosine = units @ units.T + np.diag(np.full(x.size, np.nan))
        explained, rates = [], []
        few = (each[: self.few] for each in (self.data, self.squares, self.scanned))
        for data, square, single in zip(*few, strict=True):
            score = units @ data
            amplitude = (score[:, np.newaxis] - cosine * score) / (1.0 - cosine**2)
            value = amplitude * score[:, np.newaxis]
            value = np.where((amplitude > 0) & (amplitude.T > 0), value + value.T, -1.0)
            near = np.pad(value, 1, constant_values=-1.0)
            around = np.lib.stride_tricks.sliding_window_view(near, (3, 3)).max(axis=(2, 3))
            peaks = np.argwhere(np.triu((value > single) & (value == around)))
            peaks = peaks[np.argsort(-value[tuple(peaks.T)])[:3]]
            best, at = -np.inf, None
            for i, j in peaks:
                places = np.clip(x[[i, j]], low + 1e-6, high - 1e-6)
                solved = optimize.least_squares(
                    self.residual,
                    [*places, amplitude[i, j] / norms[i], amplitude[j, i] / norms[j]],
                    self.jacobian,
                    ([low, low, 0.0, 0.0], [high, high, np.inf, np.inf]),
                    ftol=1e-15,
                    xtol=1e-15,
                    gtol=1e-15,
                    x_scale="jac",
                    max_nfev=40,
                    args=(data,),
                )
                if square - 2.0 * solved.cost > best:
                    best, at = square - 2.0 * solved.cost, solved.x[:2]
            clear = at is not None and best - single > 1e-3 * (square - best)
            explained.append(best)
            rates.append(rate_at(at) if clear and inside(*at) else None)
        return explained, rates

    def residual(self, p, data):
        return p[2:] @ self.weighted(rate_at(p[:2])) - data

    def jacobian(self, p, _):
        curves, slopes = self.responses(rate_at(p[:2]))
        by_place = (p[2:] * HALF / (1.0 - p[:2]) ** 2)[:, np.newaxis] * slopes
        return (np.concatenate((by_place, curves)) * self.roots).T


def place_of(rate):
    return rate / (rate + HALF)


def inside(*places):
    """Whether all are away from the ends of the range by a few percent of it."""
    return np.logical_and.reduce([(x > 0.03) & (x < 0.97) for x in places])


def rate_at(x):
    return HALF * x / (1.0 - x)
