"""Tests, effect sizes and agreement against published answers: NIST, R's data sets, journals, the source cohort."""

import csv
import math
import unittest
from fractions import Fraction

import numpy as np
from DCEPerfusionBMDLib import statistics as st
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.statistics.posthoc import _range_p, dunnett_p
from scipy import stats
from support import against, measured, reference_data

PLANTS = {
    "ctrl": [4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14],
    "trt1": [4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69],
    "trt2": [6.31, 5.12, 5.54, 5.50, 5.37, 5.29, 4.92, 6.15, 5.80, 5.26],
}
SLEEP = {
    "1": [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    "2": [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
}
# fmt: off
MPG = [
    21.0, 21.0, 22.8, 21.4, 18.7, 18.1, 14.3, 24.4, 22.8, 19.2, 17.8, 16.4, 17.3, 15.2, 10.4, 10.4, 14.7, 32.4,
    30.4, 33.9, 21.5, 15.5, 15.2, 13.3, 19.2, 27.3, 26.0, 30.4, 15.8, 19.7, 15.0, 21.4,
]
WEIGHT = [
    2.620, 2.875, 2.320, 3.215, 3.440, 3.460, 3.570, 3.190, 3.150, 3.440, 3.440, 4.070, 3.730, 3.780, 5.250, 5.424,
    5.345, 2.200, 1.615, 1.835, 2.465, 3.520, 3.435, 3.840, 3.845, 1.935, 2.140, 1.513, 3.170, 2.770, 3.570, 2.780,
]
POWER = [
    110, 110, 93, 110, 175, 105, 245, 62, 95, 123, 123, 180, 180, 180, 205, 215, 230, 66, 52, 65, 97, 150, 150, 245,
    175, 66, 91, 113, 264, 175, 335, 109,
]
WRIGHT = [
    494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427,
]
MINI = [
    512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451,
]
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
SIRSTV = {
    "1": [196.3052, 196.1240, 196.1890, 196.2569, 196.3403],
    "2": [196.3042, 196.3825, 196.1669, 196.3257, 196.0422],
    "3": [196.1303, 196.2005, 196.2889, 196.0343, 196.1811],
    "4": [196.2795, 196.1748, 196.1494, 196.1485, 195.9885],
    "5": [196.2119, 196.1051, 196.1850, 196.0052, 196.2090],
}
ATMWTAG = {
    "1": [107.8681568, 107.8681465, 107.8681572, 107.8681785, 107.8681446, 107.8681903, 107.8681526, 107.8681494,
          107.8681616, 107.8681587, 107.8681519, 107.8681486, 107.8681419, 107.8681569, 107.8681508, 107.8681672,
          107.8681385, 107.8681518, 107.8681662, 107.8681424, 107.8681360, 107.8681333, 107.8681610, 107.8681477],
    "2": [107.8681079, 107.8681344, 107.8681513, 107.8681197, 107.8681604, 107.8681385, 107.8681642, 107.8681365,
          107.8681151, 107.8681082, 107.8681517, 107.8681448, 107.8681198, 107.8681482, 107.8681334, 107.8681609,
          107.8681101, 107.8681512, 107.8681469, 107.8681360, 107.8681254, 107.8681261, 107.8681450, 107.8681368],
}
# fmt: on
AGES, CLASSES = ("40~", "50~", "60~", "70~", "80~"), ("normal", "bone_loss", "osteoporosis")
SIZES = [5, 66, 72, 44, 10]
KTRANS_2 = ([1.123, 0.721, 0.514, 0.361, 0.213], [0.192, 0.077, 0.039, 0.017, 0.005])
KEP_2 = ([3.118, 3.000, 2.727, 2.459, 2.096], [0.023, 0.100, 0.114, 0.112, 0.068])


def digits(value, certified):
    """Number of digits that agree: -log10 of the relative error."""
    return 15.0 if value == certified else -math.log10(abs(value - certified) / abs(certified))


def small_levels(replicates, whole):
    """NIST's Simon-Lesage sets: nine treatments, in each a middle value, then one tenth below and above by turns."""
    return {
        str(treatment + 1): [float(f"{whole}.{m}")] + [float(f"{whole}.{m + d}") for d in (-1, 1)] * (replicates // 2)
        for treatment, m in enumerate([4, 3, 5, 3, 5, 3, 5, 3, 5])
    }


def exact_f(samples):
    """F of the numbers as float64 stores them, in exact fractions."""
    groups = [[Fraction(value) for value in values] for values in samples.values()]
    n = sum(len(group) for group in groups)
    grand = sum(map(sum, groups)) / n
    means = [sum(group) / len(group) for group in groups]
    between = sum(len(group) * (mean - grand) ** 2 for group, mean in zip(groups, means, strict=True))
    within = sum((value - mean) ** 2 for group, mean in zip(groups, means, strict=True) for value in group)
    return float(between / (len(groups) - 1) / (within / (n - len(groups))))


class TestNist(unittest.TestCase):
    """NIST StRD one-way analysis of variance, certified values."""

    def check(self, name, samples, between, within, f, r2, least):
        found = st.anova(samples)
        reached = min(
            digits(found.f, f),
            digits(found.ss_between, between),
            digits(found.ss_within, within),
            digits(found.eta2, r2),
        )
        measured(self, f"digits of F, sums of squares and R2, {name}", reached, least, at_least=True)

    @against("Statistics", "observed data: SiRstv, AtmWtAg", "nist", "anova")
    def test_observed(self):
        self.check("SiRstv", SIRSTV, 5.11462616e-2, 2.1663656e-1, 1.18046237440255, 1.90999039051129e-1, 9)
        self.check("AtmWtAg", ATMWTAG, 3.638341875e-9, 1.04951729166667e-8, 15.946733567793, 2.57426544538321e-1, 7.5)
        self.assertGreaterEqual(digits(st.anova(ATMWTAG).f, 15.946733567793), 9)

    @against("Statistics", "made-up data SmLs01 to SmLs09", "nist", "anova")
    def test_simon_lesage(self):
        certified = {
            21: (1.68, 1.8, 21.0, 4.82758620689655e-1),
            201: (16.08, 18.0, 201.0, 4.71830985915493e-1),
            2001: (160.08, 180.0, 2001.0, 4.70712773465067e-1),
        }
        for whole in (1, 1000000):
            for replicates, values in certified.items():
                with self.subTest(whole=whole, replicates=replicates):
                    self.check("SmLs01 to 06", small_levels(replicates, whole), *values, 9)
        for replicates, (_, _, f, _) in certified.items():
            with self.subTest(whole=1000000000000, replicates=replicates):
                samples = small_levels(replicates, 1000000000000)
                found = st.anova(samples).f
                # float64 holds the data to four digits of their spread
                measured(self, "digits of F, SmLs07 to 09", digits(found, f), 4, at_least=True)
                self.assertGreaterEqual(digits(found, exact_f(samples)), 9)


class TestTextbooks(unittest.TestCase):
    """R's data sets and published examples, to the digits published."""

    @against(
        "Statistics",
        "PlantGrowth: ANOVA, Welch, Kruskal-Wallis, Levene, Shapiro-Wilk, 13 values of 6 to 9 decimals",
        "r",
        "anova, welch_anova, kruskal, levene",
    )
    def test_plant_growth(self):
        anova, welch = st.anova(PLANTS), st.welch_anova(PLANTS)
        for value, truth, places in (
            (anova.f, 4.846087862, 9),
            (anova.p, 0.01590996, 8),
            (anova.eta2, 0.264148, 6),
            (anova.omega2, 0.204079, 6),
            (welch.f, 5.180972, 6),
            (welch.df2, 17.128419, 6),
            (welch.p, 0.01739282, 8),
            (st.kruskal(PLANTS).h, 7.988229, 6),
            (st.kruskal(PLANTS).p, 0.01842376, 8),
            (st.levene(PLANTS).statistic, 1.236963, 6),
            (st.levene(PLANTS, "median").statistic, 1.119186, 6),
            (st.residual_normality(PLANTS).statistic, 0.966068, 6),
            (st.residual_normality(PLANTS).p, 0.437899, 6),
        ):
            measured(self, "units of the last decimal", (value - truth) * 10**places, 0.51)

    @against(
        "Statistics",
        "PlantGrowth: LSD, Tukey, Games-Howell, 9 p-values of 5 to 7 decimals",
        "r",
        "lsd, tukey, games_howell",
    )
    def test_plant_growth_pairs(self):
        tukey, games = st.tukey(PLANTS), st.games_howell(PLANTS)
        pairs = (("ctrl", "trt1"), ("ctrl", "trt2"), ("trt1", "trt2"))
        truths = {
            "lsd": (st.lsd(PLANTS), (0.19439, 0.08768, 0.00446), 5),
            "tukey": (tukey, (0.3908711, 0.1979960, 0.0120064), 7),
            "games": (games, (0.4745549, 0.1128892, 0.0237035), 7),
        }
        for method, (found, p, places) in truths.items():
            for pair, truth in zip(pairs, p, strict=True):
                with self.subTest(method=method, pair=pair):
                    measured(self, "units of the last decimal", (found[pair].p - truth) * 10**places, 0.51)
        last = tukey[pairs[2]]
        self.assertAlmostEqual(last.difference, -0.865, places=12)
        np.testing.assert_allclose(last.interval, (-1.55622, -0.17378), atol=6e-6)
        self.assertAlmostEqual(tukey[pairs[0]].difference, 0.371, places=12)
        dunnett = st.dunnett(PLANTS, "ctrl")
        self.assertAlmostEqual(dunnett["trt1", "ctrl"].p, 0.32270, delta=6e-6)
        self.assertAlmostEqual(dunnett["trt2", "ctrl"].p, 0.15349, delta=6e-6)

    @against("Statistics", "sleep: intervals of Welch's and the paired t-test", "r", "welch_t, paired_t")
    def test_sleep(self):
        welch, paired = st.welch_t(SLEEP), st.paired_t(SLEEP["1"], SLEEP["2"])
        self.assertAlmostEqual(welch.t, -1.860813, delta=6e-7)
        self.assertAlmostEqual(welch.df, 17.7765, delta=6e-5)
        self.assertAlmostEqual(welch.p, 0.0793941, delta=6e-8)
        measured(self, "limits", np.subtract(welch.interval, (-3.3654832, 0.2054832)), 6e-8)  # R's t.test
        self.assertAlmostEqual(paired.t, -4.062128, delta=6e-7)
        self.assertAlmostEqual(paired.p, 0.002832890, delta=6e-10)
        measured(self, "limits", np.subtract(paired.interval, (-2.4598858, -0.7001142)), 6e-8)

    @against("Statistics", "mtcars: correlation, its interval, regression", "r", "pearson, linear_regression")
    def test_mtcars(self):
        found = st.pearson(MPG, WEIGHT)
        measured(
            self,
            "r and its limits",
            np.subtract((found.r, *found.interval), (-0.8676594, -0.9338264, -0.7440872)),
            6e-8,
        )
        self.assertAlmostEqual(found.p, 1.294e-10, delta=6e-14)
        self.assertAlmostEqual(st.partial(MPG, WEIGHT, {"hp": POWER}).r, -0.751205, delta=6e-7)
        # R: lm(mpg ~ wt + hp)
        fit = st.linear_regression(MPG, {"wt": WEIGHT, "hp": POWER})
        self.assertAlmostEqual(fit["intercept"].value, 37.22727, delta=6e-6)
        self.assertAlmostEqual(fit["intercept"].se, 1.59879, delta=6e-6)
        self.assertAlmostEqual(fit["wt"].value, -3.87783, delta=6e-6)
        self.assertAlmostEqual(fit["hp"].se, 0.00903, delta=6e-6)
        self.assertAlmostEqual(fit.r2, 0.8268, delta=6e-5)
        self.assertAlmostEqual(fit.adjusted_r2, 0.8148, delta=6e-5)
        self.assertAlmostEqual(fit.residual_sd, 2.593, delta=6e-4)

    @against("Statistics", "the six ICC of the published table", "shrout-fleiss", "icc")
    def test_shrout_fleiss(self):
        found = st.icc(SHROUT_FLEISS)
        truth = {
            "ICC(1,1)": 0.1657,
            "ICC(2,1)": 0.2898,
            "ICC(3,1)": 0.7148,
            "ICC(1,k)": 0.4428,
            "ICC(2,k)": 0.6201,
            "ICC(3,k)": 0.9093,
        }
        for name, value in truth.items():
            measured(self, "ICC", found[name].value - value, 6e-5)
        # R's psych::ICC on the same table
        np.testing.assert_allclose(found["ICC(1,1)"].interval, (-0.133, 0.723), atol=6e-4)
        np.testing.assert_allclose(found["ICC(2,1)"].interval, (0.019, 0.761), atol=6e-4)
        np.testing.assert_allclose(found["ICC(3,1)"].interval, (0.342, 0.946), atol=6e-4)
        np.testing.assert_allclose(found["ICC(2,k)"].interval, (0.071, 0.927), atol=6e-4)
        np.testing.assert_allclose(found["ICC(3,k)"].interval, (0.676, 0.986), atol=6e-4)

    @against("Statistics", "peak flow: bias and SD in l/min", "bland-altman", "bland_altman")
    def test_bland_altman(self):
        found = st.bland_altman(WRIGHT, MINI)
        measured(self, "bias and SD", np.subtract((found.bias, found.sd), (-2.1176, 38.7651)), 6e-5, "l/min")
        self.assertAlmostEqual(found.lower, -78.10, delta=6e-3)
        self.assertAlmostEqual(found.upper, 73.86, delta=6e-3)
        # the paper: standard error of the bias 9.4, t = 2.12, interval -22.0 to 17.8
        np.testing.assert_allclose(found.bias_interval, (-22.0, 17.8), atol=0.06)
        # Bland & Altman 1999, section 2.2: error of a limit = SD sqrt(1 / n + 1.96^2 / (2 (n - 1))), t(16) = 2.1199
        half = 2.1199 * 38.7651 * math.sqrt(1 / 17 + 1.96**2 / 32)
        np.testing.assert_allclose(found.upper_interval, (found.upper - half, found.upper + half), atol=2e-3)
        np.testing.assert_allclose(found.lower_interval, (found.lower - half, found.lower + half), atol=2e-3)
        self.assertAlmostEqual(st.pearson(WRIGHT, MINI).r, 0.943279, delta=6e-7)

    def test_repeatability(self):
        # Bland & Altman 1986: mini meter, two readings; within-subject SD from the differences
        readings = np.array([[10.0, 12.0], [20.0, 18.0], [31.0, 30.0]])
        found = st.repeatability(readings)
        self.assertAlmostEqual(found.within_sd, math.sqrt((4 + 4 + 1) / 6), places=12)
        self.assertAlmostEqual(found.coefficient / found.within_sd, 2.7718, delta=5e-5)
        self.assertAlmostEqual(found.within_cv, math.sqrt((2 / 121 + 2 / 361 + 0.5 / 30.5**2) / 3), places=12)
        # 3 degrees of freedom: chi-squared 0.2158 and 9.3484
        np.testing.assert_allclose(
            np.array(found.interval) / found.coefficient, np.sqrt([3 / 9.3484, 3 / 0.2158]), rtol=1e-4
        )

    def test_concordance(self):
        # identical precision, shift of one SD: 2 / (2 + 1) = 2/3
        x = np.array([-1.0, 1.0] * 50)
        found = st.concordance(x, x + 1.0)
        self.assertAlmostEqual(found.value, 2 / 3, places=12)
        self.assertAlmostEqual(found.accuracy, 2 / 3, places=12)
        self.assertAlmostEqual(found.precision, 1.0, places=12)

    def test_concordance_interval_covers(self):
        random = np.random.default_rng(3)
        cover = np.array([[1.0, 0.8], [0.8, 1.0]])
        truth = 2 * 0.8 / (2 + 0.3**2)
        hits = 0
        for _ in range(1000):
            a, b = random.multivariate_normal([0, 0.3], cover, 60).T
            low, high = st.concordance(a, b).interval
            hits += low < truth < high
        self.assertGreater(hits, 925)
        self.assertLess(hits, 972)

    def test_proportions(self):
        # the source paper's counts; values of an independent computation
        spine, neck, sizes = [0, 18, 32, 33, 9], [0, 14, 26, 25, 8], SIZES
        for counts, chi, p, z, linear in (
            (spine, 36.225, 2.60e-7, 5.947, 35.191),
            (neck, 25.348, 4.28e-5, 5.005, 24.920),
        ):
            test = st.chi_squared([counts, np.subtract(sizes, counts)])
            self.assertAlmostEqual(test.statistic, chi, delta=6e-4)
            self.assertAlmostEqual(test.p / p, 1, delta=3e-3)
            self.assertGreaterEqual(test.sparse, 3)
            trend = st.cochran_armitage(counts, sizes)
            self.assertAlmostEqual(trend.z, z, delta=6e-4)
            self.assertAlmostEqual(trend.linear_by_linear, linear, delta=6e-4)
        for counts, truths in ((spine, (0.320, 0.072, 0.0023, 0.0020)), (neck, (0.575, 0.161, 0.022, 0.0070))):
            for i, truth in enumerate(truths, start=1):
                found = st.fisher([[counts[i], sizes[i] - counts[i]], [counts[0], sizes[0] - counts[0]]])
                self.assertAlmostEqual(found.p, truth, delta=0.51 * 10 ** -len(str(truth).split(".")[1]))

    @against("Statistics", "Wilson's interval of 3 rates, table I", "newcombe", "rate")
    def test_rate(self):
        for counts, interval in (((81, 263), (0.2553, 0.3662)), ((0, 20), (0, 0.1611)), ((29, 29), (0.8830, 1))):
            measured(self, "limits", np.subtract(st.rate(*counts).interval, interval), 6e-5)

    @against("Statistics", "difference of rates, table II", "newcombe", "rate_difference")
    def test_rate_difference(self):
        """Newcombe 1998, Table II: 56/70 less 48/80 is .2, 95 % interval .0524 to .3339."""
        difference, interval = st.rate_difference(st.rate(56, 70), st.rate(48, 80))
        measured(self, "difference and limits", np.subtract([difference, *interval], [0.2, 0.0524, 0.3339]), 5e-5)

    def test_studentized_range(self):
        """Two groups are a t-test; more are scipy's studentized range."""
        for df in (1, 2, 4.1, 23.7, 192, 5000):
            for t in (0.5, 2.0, 4.0, 8.0):
                self.assertAlmostEqual(_range_p(2, df, t), 2 * stats.t.sf(t, df), delta=1e-11)
                for k in (3, 5):
                    self.assertAlmostEqual(
                        _range_p(k, df, t), stats.studentized_range.sf(t * math.sqrt(2), k, df), delta=1e-8
                    )

    def test_corrections(self):
        # R: p.adjust(c(0.01, 0.02, 0.03, 0.04), ...)
        p = [0.03, 0.01, 0.04, 0.02]
        np.testing.assert_allclose(st.holm(p), [0.06, 0.04, 0.06, 0.06], rtol=1e-12)
        np.testing.assert_allclose(st.benjamini_hochberg(p), [0.04, 0.04, 0.04, 0.04], rtol=1e-12)
        np.testing.assert_allclose(st.bonferroni([0.03, 0.4, 0.5]), [0.09, 1, 1], rtol=1e-12)

    def test_dunn_is_kruskal(self):
        """With two groups z squared is H; with equal groups the squares sum to k H / 2."""
        random = np.random.default_rng(5)
        for k in (2, 3, 5):
            samples = {str(i): np.round(random.normal(i / 3, 1, 12), 1) for i in range(k)}
            squares = sum(pair.statistic**2 for pair in st.dunn(samples).pairs)
            self.assertAlmostEqual(squares, k / 2 * st.kruskal(samples).h, places=9)

    @against("Statistics", "correction of a small sample, J(10) = .9228", "hedges", "hedges_g")
    def test_effect_sizes(self):
        # Hedges & Olkin: J(10) = 0.9228 (their table 5.1 has m = 10: 0.9228)
        groups = st.from_statistics(["a", "b"], [6, 6], [1, 0], [1, 1])
        value, interval = st.hedges_g(groups)
        measured(self, "g", value - 0.9228, 6e-5)
        error = math.sqrt(12 / 36 + value**2 / 24)
        np.testing.assert_allclose(interval, (value - 1.959964 * error, value + 1.959964 * error), rtol=1e-6)
        delta = st.cliff_delta([1, 2, 3, 4], [2, 3, 4, 5, 6])
        pairs = [np.sign(a - b) for a in (1, 2, 3, 4) for b in (2, 3, 4, 5, 6)]
        self.assertAlmostEqual(delta.delta, float(np.mean(pairs)), places=12)
        self.assertLess(delta.interval[0], delta.delta)
        self.assertGreater(delta.interval[0], -1)

    def test_share_interval(self):
        """At either end the observed F is a 2.5 % event of the noncentral F distribution."""
        found = st.anova(PLANTS)
        for share, probability in zip(found.interval, (0.975, 0.025), strict=True):
            noncentrality = 30 * share / (1 - share)
            if share > 0:
                self.assertAlmostEqual(stats.ncf.cdf(found.f, 2, 27, noncentrality), probability, places=6)
        self.assertGreater(found.interval[0], 0)

    def test_share_interval_of_many(self):
        """A hundred thousand subjects, whose far tails scipy has no number for; the interval is close to normal."""
        n = 100_000
        for share in (0.001, 0.08, 0.6):
            means = np.sqrt(share / (1 - share) * 1.5) * np.array([-1.0, 0.0, 1.0])
            groups = st.from_statistics(list("abc"), [n // 3] * 3, means, [1.0] * 3)
            low, high = st.anova(groups).interval
            self.assertLess(low, share)
            self.assertGreater(high, share)
            error = math.sqrt(4 * share * (1 - share) ** 2 * (1 - share / 2) / n)  # of lambda / (lambda + N)
            self.assertAlmostEqual((high - low) / (2 * 1.959964 * error), 1, delta=0.03)

    def test_share_interval_covers(self):
        """The interval of eta2 covers lambda / (lambda + N)."""
        random = np.random.default_rng(11)
        means = np.array([0.0, 0.4, 0.8])
        truth = 20 * np.sum((means - means.mean()) ** 2)
        truth /= truth + 60
        hits = 0
        for _ in range(500):
            low, high = st.anova({str(m): random.normal(m, 1, 20) for m in means}).interval
            hits += low <= truth <= high
        self.assertGreater(hits, 460)
        self.assertLess(hits, 490)


class TestCohort(unittest.TestCase):
    """The synthetic cohort of the source paper, against values of statsmodels, pingouin and scipy."""

    @classmethod
    def setUpClass(cls):
        path = reference_data("synthetic_cohort_huang2019.csv")
        with path.open(encoding="utf-8") as file:
            cls.rows = list(csv.DictReader(file))

    def column(self, name):
        return np.array([float(row[name]) for row in self.rows])

    def by(self, name, label, order):
        parts = st.split(self.column(name), [row[label] for row in self.rows])
        return {group: parts[group] for group in order}

    @against("The source paper", "ANOVA, Welch, Kruskal-Wallis between classes", "cohort", "compare")
    def test_classes(self):
        truth = {
            "ktrans": (407.685, 320.850, 89.5285, 161.595),
            "kep": (448.843, 504.830, 113.962, 148.026),
            "ve": (281.929, 199.682, 94.731, 154.978),
        }
        for name, (f, welch, df2, h) in truth.items():
            found = st.compare(self.by(name, "bmd_class", CLASSES), name, "bmd_class")
            values = found.anova.f, found.welch.f, found.welch.df2, found.kruskal.h
            measured(self, "F, H and degrees of freedom", np.subtract(values, (f, welch, df2, h)), 6e-4)
        found = st.compare(self.by("ktrans", "bmd_class", CLASSES), "ktrans", "bmd_class")
        self.assertAlmostEqual(found.anova.p / 3.341e-70, 1, delta=2e-4)
        self.assertAlmostEqual(found.levene.statistic, 28.377, delta=6e-4)
        self.assertAlmostEqual(found.brown_forsythe.statistic, 25.223, delta=6e-4)
        kep = st.compare(self.by("kep", "bmd_class", CLASSES), "kep", "bmd_class")
        self.assertAlmostEqual(kep.brown_forsythe.statistic, 2.9935, delta=6e-5)
        self.assertAlmostEqual(kep.brown_forsythe.p, 0.0524, delta=6e-5)

    def test_ages(self):
        for name, f in (("ktrans", 32.642), ("kep", 30.707), ("ve", 29.282)):
            found = st.compare(self.by(name, "age_group", AGES), name, "age_group")
            self.assertAlmostEqual(found.anova.f, f, delta=6e-4)
            self.assertEqual(found.groups.small, ("40~",))
        dunnett = st.dunnett(self.by("kep", "age_group", AGES), "40~")
        for pair, p in zip(dunnett.pairs, (0.67380, 0.021956, 7.045e-5, 9.806e-8), strict=True):
            self.assertAlmostEqual(pair.p / p, 1, delta=1.2e-4)

    def test_games_howell(self):
        found = st.games_howell(self.by("ktrans", "bmd_class", CLASSES))
        for pair, t, df in (
            (("bone_loss", "normal"), 11.9824, 57.7275),
            (("bone_loss", "osteoporosis"), 18.4374, 105.0914),
            (("normal", "osteoporosis"), 19.6625, 51.9365),
        ):
            self.assertAlmostEqual(abs(found[pair].statistic), t, delta=6e-5)
            self.assertAlmostEqual(found[pair].df, df, delta=6e-5)

    @against("The source paper", "correlations with age and BMD, partial too", "cohort", "pearson, partial")
    def test_correlations(self):
        age, bmd = self.column("age"), self.column("bmd_lumbar")
        for name, with_age, with_bmd, held in (
            ("ktrans", -0.725782, 0.968360, 0.949452),
            ("kep", -0.724422, 0.818386, 0.662403),
            ("ve", -0.693180, 0.944386, 0.901193),
        ):
            values = [st.pearson(x, self.column(name)).r for x in (age, bmd)]
            values.append(st.partial(bmd, self.column(name), {"age": age}).r)
            measured(self, "r", np.subtract(values, (with_age, with_bmd, held)), 6e-7)
        np.testing.assert_allclose(st.pearson(age, self.column("ktrans")).interval, (-0.785845, -0.652155), atol=6e-7)
        np.testing.assert_allclose(st.pearson(bmd, self.column("ktrans")).interval, (0.958291, 0.976029), atol=6e-7)

    @against("The source paper", "ROC of osteoporosis", "cohort", "roc")
    def test_roc(self):
        sick = np.array([row["bmd_class"] == "osteoporosis" for row in self.rows])
        for name, auc, se, cut, sensitivity, specificity in (
            ("ktrans", 0.994513, 0.0033687, 0.4559, 1.0, 0.95238),
            ("kep", 0.995445, 0.0025195, 2.7152, 1.0, 0.95238),
            ("ve", 0.982609, 0.0077972, 0.16411, 0.96739, 0.94286),
        ):
            found = st.roc(self.column(name), sick, higher_is_positive=False)
            measured(self, "area", found.auc - auc, 6e-7)
            self.assertAlmostEqual(found.se, se, delta=6e-8)
            self.assertAlmostEqual(found.cut, cut, delta=1e-9)
            self.assertAlmostEqual(found.sensitivity, sensitivity, delta=6e-6)
            if name != "kep":
                self.assertAlmostEqual(found.specificity, specificity, delta=6e-6)
            self.assertLess(found.interval[1], 1)
            # cutting there by hand gives the same
            below = self.column(name) <= found.cut
            self.assertAlmostEqual(np.mean(below[sick]), found.sensitivity, places=12)
            self.assertAlmostEqual(np.mean(~below[~sick]), found.specificity, places=12)
            x, y = st.roc_curve(self.column(name), sick, False)
            self.assertAlmostEqual(float(np.trapezoid(y, x)), auc, delta=6e-7)
            low, high = st.auc_bootstrap(self.column(name), sick, False, seed=1)
            self.assertTrue(low < auc < high <= 1)
            self.assertAlmostEqual((high - low) / (4 * se), 1, delta=0.25)
        difference = st.compare_roc(self.column("ktrans"), self.column("ve"), sick, False)
        self.assertAlmostEqual(difference.z, 2.26886, delta=6e-6)
        self.assertAlmostEqual(difference.p, 0.0232768, delta=6e-8)
        self.assertAlmostEqual(
            st.compare_roc(self.column("ktrans"), self.column("kep"), sick, False).z, -0.330519, delta=6e-7
        )

    def test_regression(self):
        names = ("ktrans", "kep", "ve", "age")
        columns = {name: self.column(name) for name in names}
        with self.assertRaisesRegex(InputError, "Ktrans, kep and ve must not stand in one regression"):
            st.linear_regression(self.column("bmd_lumbar"), columns)
        for found in (
            st.variance_inflation(columns),
            {f"{c.name}": c.vif for c in self.anonymous(columns).coefficients[1:]},
        ):
            np.testing.assert_allclose(list(found.values()), (239.7, 14.6, 174.5, 2.6), atol=0.051)
        self.assertAlmostEqual(self.anonymous(columns).r2, 0.961568, delta=6e-7)
        self.assertIn("not to be told apart", str(self.anonymous(columns)))

    def anonymous(self, columns):
        return st.linear_regression(self.column("bmd_lumbar"), {f"x{i}": c for i, c in enumerate(columns.values())})

    def test_ancova(self):
        classes = [row["bmd_class"] for row in self.rows]
        found = st.ancova(self.column("ktrans"), classes, self.column("age"))
        self.assertAlmostEqual(found.groups.f, 364.873, delta=6e-4)
        self.assertAlmostEqual(found.covariate.f, 181.759, delta=6e-4)


class TestFromStatistics(unittest.TestCase):
    """The source paper's tables, spreads read as variances, against values computed with other software."""

    def setUp(self):
        self.ktrans = st.from_statistics(AGES, SIZES, *KTRANS_2, "variance")
        self.kep = st.from_statistics(AGES, SIZES, *KEP_2, "variance")

    def test_anova(self):
        for groups, f, p, eta2, omega2, welch, df2 in (
            (self.ktrans, 32.825, 7.53e-21, 0.4061, 0.3925, 46.047, 23.776),
            (self.kep, 30.564, 1.10e-19, 0.3890, 0.3751, 38.616, 24.653),
        ):
            found = st.anova(groups)
            self.assertAlmostEqual(found.f, f, delta=6e-4)
            self.assertAlmostEqual(found.p / p, 1, delta=1e-2)
            self.assertAlmostEqual(found.eta2, eta2, delta=6e-5)
            self.assertAlmostEqual(found.omega2, omega2, delta=6e-5)
            self.assertAlmostEqual(st.welch_anova(groups).f, welch, delta=6e-4)
            self.assertAlmostEqual(st.welch_anova(groups).df2, df2, delta=6e-4)
        age = st.from_statistics(CLASSES, [48, 57, 92], [57.077, 61.386, 68.207], [6.685, 6.643, 7.983])
        self.assertAlmostEqual(st.anova(age).f, 39.968, delta=6e-4)

    def test_pairs(self):
        lsd, tukey, games = st.lsd(self.kep), st.tukey(self.kep), st.games_howell(self.kep)
        table = (  # LSD t, LSD p, Tukey p, Student t, Student p, Welch t, Welch df, Welch p, Games-Howell p
            ("50~", 0.786, 0.433, 0.934, 0.823, 0.413, 1.509, 7.02, 0.175, 0.588),
            ("60~", 2.612, 0.00971, 0.0721, 2.559, 0.0125, 4.972, 7.18, 0.0015, 0.0092),
            ("70~", 4.314, 2.56e-05, 0.000246, 4.321, 7.99e-05, 7.796, 9.38, 2.14e-05, 0.000158),
            ("80~", 5.765, 3.22e-08, 3.2e-07, 8.018, 2.18e-06, 9.572, 12.46, 4.22e-07, 3.52e-06),
        )
        for i, (name, *values) in enumerate(table, start=1):
            two = [[row[0], row[i]] for row in (SIZES, *KEP_2)]
            both = st.from_statistics(["40~", name], *two, "variance")
            student, welch = st.student_t(both), st.welch_t(both)
            found = (
                *(lsd["40~", name].statistic, lsd["40~", name].p, tukey["40~", name].p, student.t, student.p),
                *(welch.t, welch.df, welch.p, games["40~", name].p),
            )
            np.testing.assert_allclose(found, values, rtol=4e-3)
        self.assertEqual(lsd.small, ("40~",))

    def test_dunnett(self):
        for groups, truth in (
            (self.kep, (0.67488, 0.022170, 7.359e-5, 1.0395e-7)),
            (self.ktrans, (3.215e-4, 3.553e-8, 2.19e-11, 6.33e-12)),
        ):
            for pair, p in zip(st.dunnett(groups, "40~").pairs, truth, strict=True):
                self.assertAlmostEqual(pair.p / p, 1, delta=2e-3)
                self.assertEqual(pair.second, "40~")

    @against("Statistics", "two-sided 5 % points, 5 entries", "dunnett", "dunnett_p")
    def test_dunnett_tables(self):
        """Dunnett 1964, two-sided 5 % points for equal groups: correlation 1/2."""
        for k, df, critical in ((2, 5, 3.03), (9, 5, 3.97), (3, 10, 2.76), (4, 20, 2.65), (3, 1e9, 2.35)):
            measured(self, "p", dunnett_p(critical, [math.sqrt(0.5)] * k, df) - 0.05, 3e-4)
        # one comparison is a t-test, whatever the sizes
        for load in (0.05, 0.5, 0.99995):
            for df in (3, 40, 4000):
                for t in (0.1, 2.0, 6.0):
                    self.assertAlmostEqual(dunnett_p(t, [load], df) / (2 * stats.t.sf(t, df)), 1, delta=1e-6)

    def test_readings(self):
        sd = st.from_statistics(["a", "b"], [4, 9], [0, 1], [2, 3])
        for reading, spreads in (("se", [1, 1]), ("variance", [4, 9])):
            same = st.from_statistics(["a", "b"], [4, 9], [0, 1], spreads, reading)
            np.testing.assert_allclose(same.variances, sd.variances)
        values = {"a": [1.0, 2.0, 4.0], "b": [2.0, 5.0, 6.0, 9.0]}
        groups = st.describe(values)
        again = st.from_statistics(groups.names, groups.counts, groups.means, groups.sds)
        self.assertAlmostEqual(st.anova(again).f, st.anova(values).f, places=10)


class TestClustered(unittest.TestCase):
    def test_balanced_closed_form(self):
        """Balanced, without predictors: the variance components are those of the analysis of variance."""
        random = np.random.default_rng(8)
        y = random.normal(0, 1, (30, 1)) + random.normal(5, 0.5, (30, 4))
        found = st.random_intercept(y.ravel(), {}, np.repeat(np.arange(30), 4))
        within = y.var(axis=1, ddof=1).mean()
        between = y.mean(axis=1).var(ddof=1) - within / 4
        self.assertAlmostEqual(found.within_variance / within, 1, places=6)
        self.assertAlmostEqual(found.between_variance / between, 1, places=6)
        self.assertAlmostEqual(found["intercept"].value, y.mean(), places=10)
        self.assertAlmostEqual(found["intercept"].se, math.sqrt(y.mean(axis=1).var(ddof=1) / 30), places=7)
        share = between / (between + within)
        self.assertAlmostEqual(found.effective_n, 120 / (1 + 3 * share), places=4)

    def test_bootstrap_of_a_mean(self):
        """The interval of a mean is as wide as subjects, not vertebrae, make it."""
        random = np.random.default_rng(2)
        subjects = np.repeat(np.arange(80), 4)
        y = random.normal(0, 1, 80)[subjects] + random.normal(0, 0.1, 320)
        found = st.cluster_bootstrap(lambda c: float(c["y"].mean()), {"y": y}, subjects, seed=4)
        expected = 2 * 1.96 * y.reshape(80, 4).mean(axis=1).std(ddof=1) / math.sqrt(80)
        self.assertAlmostEqual((found.interval[1] - found.interval[0]) / expected, 1, delta=0.1)
        again = st.cluster_bootstrap(lambda c: float(c["y"].mean()), {"y": y}, subjects, seed=4)
        self.assertEqual(found, again)
        shuffled = random.permutation(320)
        other = st.cluster_bootstrap(lambda c: float(c["y"].mean()), {"y": y[shuffled]}, subjects[shuffled], seed=4)
        self.assertAlmostEqual(other.interval[0], found.interval[0], places=9)


class TestRefusals(unittest.TestCase):
    """Bad input is named; nothing is dropped unseen."""

    def test_messages(self):
        good = [1.0, 2.0, 4.0]
        for message, call in (
            ("group 'b' holds 0 values", lambda: st.anova({"a": good, "b": []})),
            (
                "group 'b': 1 of 3 values are no finite numbers, the first at position 2",
                lambda: st.anova({"a": good, "b": [1, math.nan, 2]}),
            ),
            ("1 group cannot be compared", lambda: st.anova({"a": good})),
            ("no group varies", lambda: st.anova({"a": [1, 1], "b": [2, 2]})),
            ("every group has one subject", lambda: st.anova({"a": [1], "b": [2]})),
            ("group 'b' has one subject", lambda: st.welch_anova({"a": good, "b": [2]})),
            ("group 'b' does not vary", lambda: st.games_howell({"a": good, "b": [2, 2]})),
            ("'x' at position 2 is not a number", lambda: st.anova({"a": good, "b": [1, "x", 2]})),
            ("no group is called 'c'", lambda: st.dunnett({"a": good, "b": good}, "c")),
            ("y holds 2 values, not 3", lambda: st.pearson(good, [1, 2])),
            ("x does not vary", lambda: st.pearson([1, 1, 1], good)),
            ("a count of 1 has no spread", lambda: st.from_statistics("ab", [1, 2], [0, 1], [1, 1])),
            ("the spread -1 is negative", lambda: st.from_statistics("ab", [3, 2], [0, 1], [1, -1])),
            ("0 of 3 subjects have the condition", lambda: st.roc(good, [0, 0, 0], True)),
            ("true and false", lambda: st.roc(good, [0, 2, 0], True)),
            ("all differences are equal", lambda: st.bland_altman(good, good)),
            ("all differences are equal", lambda: st.paired_t(good, good)),
            ("ratings have two subjects", lambda: st.icc([good])),
            ("no error to compare", lambda: st.icc([[1, 2], [2, 3], [5, 6]])),
            ("must be counts", lambda: st.fisher([[1, 2], [3, 0.5]])),
            ("2 by 2", lambda: st.fisher([[1, 2, 3], [3, 4, 5]])),
            ("a count exceeds its total", lambda: st.cochran_armitage([2, 3], [2, 2])),
            (
                "predictor 'b' follows",
                lambda: st.linear_regression([1, 2, 4, 4, 7], {"a": [1, 2, 3, 4, 6], "b": [2, 4, 6, 8, 12]}),
            ),
            ("predictor 'a' does not vary", lambda: st.linear_regression([1, 2, 4, 4], {"a": [0.1] * 4})),
            ("two values", lambda: st.random_intercept([1, 2, 4, 7], {}, [1, 2, 3, 4])),
            ("between 0 and 1", lambda: st.holm([0.1, 1.2])),
            ("2 of 1 is no rate", lambda: st.rate(2, 1)),
        ):
            with self.subTest(message), self.assertRaisesRegex(InputError, message):
                call()

    def test_circular(self):
        for quantity, grouping in (
            ("bmd_lumbar", "bmd_class"),
            ("t_lumbar", "bmd_class"),
            ("t_score", "class"),
            ("bmd", "fn_class"),
            ("age", "age_group"),
        ):
            with self.subTest(quantity), self.assertRaisesRegex(InputError, "by construction"):
                st.compare(PLANTS, quantity, grouping)
        for quantity, grouping in (("ktrans", "bmd_class"), ("bmd_lumbar", "age_group"), ("age", "bmd_class")):
            st.check_not_circular(quantity, grouping)

    def test_complete_rows(self):
        names = ["A", "B", "C", "D"]
        found = st.complete_rows(names, {"x": [1, math.nan, 3, 4], "y": [1, math.nan, math.nan, 2]})
        self.assertEqual(found.rows, ("A", "D"))
        self.assertEqual([(item.row, item.reason) for item in found.left_out], [("B", "no x, y"), ("C", "no y")])
        np.testing.assert_array_equal(found.columns["x"], [1, 4])
        self.assertEqual(len(found.rows) + len(found.left_out), len(names))
        self.assertIn("4 rows: 2 kept, 2 left out", str(found))
        for message, rows, column in (
            ("'A' comes more than once", ["A", "A"], [1, 2]),
            ("'x' has shape", ["A"], [1, 2]),
            ("infinite in row 'B'", ["A", "B"], [1, math.inf]),
            ("'one' at position 1", ["A", "B"], ["one", 2]),
        ):
            with self.assertRaisesRegex(InputError, message):
                st.complete_rows(rows, {"x": column})

    def test_p_text(self):
        self.assertEqual(st.p_text(9.9e-13), "<1e-12")
        self.assertEqual(st.p_text(0.0), "<1e-12")
        self.assertEqual(st.p_text(2e-12), "2e-12")
        self.assertEqual(st.p_text(0.04321), "0.0432")
        self.assertIn("p < 1e-12", str(st.anova({"a": np.arange(50.0), "b": np.arange(50.0) + 1000})))
        self.assertIn("small groups: a", str(st.tukey({"a": np.arange(5.0), "b": np.arange(30.0)})))
        self.assertIn("fewer than 10", str(st.describe({"a": np.arange(5.0), "b": np.arange(30.0)})))


if __name__ == "__main__":
    unittest.main()
