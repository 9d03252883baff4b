"""Tests at their edges: no spread, exact fits, few or very many values, far offsets, missing labels, masked numbers."""

import itertools
import math
import unittest
import warnings

import numpy as np
from DCEPerfusionBMDLib import statistics as st
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.statistics.groups import _share_interval
from DCEPerfusionBMDLib.statistics.posthoc import _range_p
from scipy import stats


class Edges(unittest.TestCase):
    """Every refusal is an InputError; nothing warns."""

    def setUp(self):
        caught = warnings.catch_warnings()
        caught.__enter__()
        self.addCleanup(caught.__exit__, None, None, None)
        warnings.simplefilter("error")

    def refuses(self, *cases):
        for message, call in cases:
            with self.subTest(message), self.assertRaisesRegex(InputError, message):
                call()


class TestGroups(Edges):
    def test_share_interval_of_many(self):
        """Tails that scipy has no number for; the interval is that of a normal estimate within 3 %."""
        n = 150_000
        found = st.anova(st.from_statistics("abc", [50000] * 3, [0, 0.289, 0.378], [1, 1, 1]))
        share = found.eta2
        error = math.sqrt(4 * share * (1 - share) ** 2 * (1 - share / 2) / n)
        self.assertAlmostEqual((found.interval[1] - found.interval[0]) / (2 * 1.959964 * error), 1, delta=0.03)
        self.assertTrue(found.interval[0] < share < found.interval[1])

    def test_share_interval_of_huge_f(self):
        """Far from 0 the noncentral chi-squared is its noncentrality: lambda = df1 F chi2(df2) / df2."""
        groups = {"a": [1.001, 1.002, 1.003], "b": [5001.001, 5001.002, 5001.004]}
        found = st.anova(groups)
        noncentrality = found.f * stats.chi2.ppf([0.025, 0.975], 4) / 4
        away = [1 - limit for limit in found.interval]  # 6 / (lambda + 6)
        np.testing.assert_allclose(away, 6 / noncentrality, rtol=1e-3)

    def test_share_interval_at_its_quantile(self):
        """Where F is its own 2.5 % or 97.5 % point a limit is 0, up to rounding."""
        for df1, df2 in ((1, 8), (2, 27), (4, 190)):
            for probability in (0.025, 0.975):
                f = float(stats.f.ppf(probability, df1, df2))
                for nudge in (-1e-12, -1e-14, 0, 1e-14, 1e-12):
                    low, high = _share_interval(f * (1 + nudge), df1, df2, df1 + df2 + 1)
                    self.assertLess(low if probability > 0.5 else high, 1e-6)

    def test_equal_values_have_no_variance(self):
        self.refuses(
            ("group 'b' does not vary", lambda: st.welch_t({"a": [1.1, 0.8, 1, 1.2, 1.4], "b": [1.8] * 7})),
            ("group 'a' does not vary", lambda: st.welch_anova({"a": [1.0] * 3, "b": [0.7] * 11})),
            ("group 'a' does not vary", lambda: st.games_howell({"a": [1.0] * 3, "b": [0.7] * 11})),
            ("no group varies", lambda: st.tukey({"a": [1.0] * 3, "b": [0.7] * 11})),
            ("no group varies", lambda: st.anova({"a": [1.0] * 3, "b": [0.7] * 11})),
            ("no group varies", lambda: st.residual_normality({"a": [1.0] * 3, "b": [0.7] * 11})),
            ("every group has one subject", lambda: st.tukey({"a": [1], "b": [2]})),
            ("every group has one subject", lambda: st.lsd({"a": [1], "b": [2]})),
            ("all differences are equal", lambda: st.paired_t([0.3, 0.5, 0.7], [0.1, 0.3, 0.5])),
        )

    def test_a_far_value_elsewhere(self):
        """The spread of a group and the difference of two do not depend on a third one far away."""
        for far in (1e12, 1e16):
            samples = {"a": [far, 1, 2], "b": [0.1, 0.2, 0.3, 0.25], "c": [0.3, 0.1, 0.2]}
            found = st.describe(samples)
            self.assertAlmostEqual(found.sds[1], np.std(samples["b"], ddof=1), places=14)
            self.assertAlmostEqual(found.means[1], np.mean(samples["b"]), places=14)
            self.assertAlmostEqual(found.centered[1] - found.centered[2], 0.0125, places=14)

    def test_levene_without_error(self):
        """Two values are equally far from their mean, so the distances do not vary."""
        for samples in (
            {"a": [1, 2], "b": [3, 5]},
            {"a": [1, 2], "b": [3, 4]},
            {"a": [0.1, 0.2, 0.1, 0.2], "b": [0.3, 0.4, 0.3, 0.4]},
        ):
            for center in ("mean", "median"):
                with self.assertRaisesRegex(InputError, f"distances from the {center} do not vary"):
                    st.levene(samples, center)
            found = st.compare(samples, "x", "arm")
            self.assertTrue(math.isnan(found.levene.p))
            self.assertIn("Levene (the distances from the mean do not vary within any group; ", str(found))

    def test_normality_of_small_numbers(self):
        samples = {"a": np.array([1.0, 2.0, 4.0, 3.5]), "b": np.array([2.0, 5.0, 5.5, 1.0])}
        truth = stats.shapiro(np.concatenate([part - part.mean() for part in samples.values()]))
        for scale in (1.0, 1e-25, 1e25):
            found = st.residual_normality({name: part * scale for name, part in samples.items()})
            self.assertAlmostEqual(found.statistic, truth.statistic, places=12)
            self.assertAlmostEqual(found.p, truth.pvalue, places=12)

    def test_hedges_correction(self):
        """Of 1 degree of freedom there is none; of many Hedges' series, Gamma(m) Gamma(m - 1/2) by their logarithms."""
        g, interval = st.hedges_g({"a": [1, 2], "b": [4]})
        self.assertTrue(math.isnan(g) and math.isnan(interval[0]))
        self.assertNotIn("g =", str(st.student_t({"a": [1, 2], "b": [4]})))
        for n in (9_000, 11_000, 1_000_000, 100_000_000):
            df = 2 * n - 2
            # Stirling: J = 1 - 3 / (4 df) - 7 / (32 df^2)
            truth = 1 - 3 / (4 * df) - 7 / (32 * df**2)
            self.assertAlmostEqual(st.hedges_g(st.from_statistics("ab", [n, n], [1, 0], [1, 1]))[0], truth, delta=2e-10)
        df = 2e8 - 2
        found = st.hedges_g(st.from_statistics("ab", [1e8, 1e8], [1, 0], [1, 1]))[0]
        self.assertAlmostEqual((1 - found) / (3 / (4 * df)), 1, delta=1e-6)

    def test_tukey_far_out(self):
        """P lies between that of one pair and Bonferroni's of all; with two groups it is Student's."""
        for df in (3.0, 200.0, 20_000.0):
            for t in (3.0, 12.0, 40.0):
                alone = 2 * stats.t.sf(t, df)
                self.assertGreaterEqual(_range_p(3, df, t), alone)
                self.assertLessEqual(_range_p(3, df, t), 3 * alone)
                self.assertAlmostEqual(_range_p(2, df, t), alone, delta=1e-12 * alone)
        found = st.tukey(st.from_statistics("abc", [7000, 7000, 6003], [0, 10, 20], [1, 1, 1]))
        self.assertLess(max(pair.p for pair in found.pairs), 1e-300)

    def test_names(self):
        numbered = {0: [1.0, 2.0, 4.0], 1: [2.0, 3.0, 7.0]}
        self.assertIn("0 - 1: -1.667", str(st.tukey(numbered)))
        self.refuses(
            ("no group is called '7'; there are 0, 1", lambda: st.dunnett(numbered, "7")),
            ("a group is named twice: a, a", lambda: st.from_statistics(["a", "a"], [3, 3], [1, 2], [1, 1])),
            ("print alike", lambda: st.describe({1: [1.0, 2.0], "1": [1.0, 2.0]})),
            ("position 1 is too large", lambda: st.describe({"a": [10**400, 2], "b": [1, 2]})),
            ("1e\\+200 is too large to be squared", lambda: st.anova({"a": [1e200, 2], "b": [1, 2]})),
            ("real numbers", lambda: st.describe({"a": np.array([1j, 2]), "b": [1, 2]})),
        )


class TestValues(Edges):
    def test_masked(self):
        """A masked value is a missing one, whatever number lies under the mask."""
        masked = np.ma.array([1.0, 2.0, -9999.0], mask=[0, 0, 1])
        whole = np.ma.array([1, 2, 3])
        np.testing.assert_array_equal(st.describe({"a": whole, "b": [1, 2]}).means, [2.0, 1.5])
        found = st.complete_rows(["A", "B", "C"], {"x": masked})
        self.assertEqual((found.rows, [item.row for item in found.left_out]), (("A", "B"), ["C"]))
        counts = np.ma.array([[1, 2], [3, -9999]], mask=[[0, 0], [0, 1]])
        self.refuses(
            ("1 of 3 values are no finite numbers", lambda: st.describe({"a": masked, "b": [1, 2]})),
            ("1 of 4 values are no finite", lambda: st.icc(counts)),
            ("1 of 4 values are no finite", lambda: st.fisher(counts)),
        )

    def test_labels(self):
        parts = st.split([1, 2, 3, 4], ["b", "a", "b", "a"])
        self.assertEqual({name: list(part) for name, part in parts.items()}, {"b": [1, 3], "a": [2, 4]})
        self.assertEqual(list(parts), ["b", "a"])
        self.assertEqual(list(st.split([1, 2, 3], np.array([5, 3, 5]))), ["5", "3"])
        for labels in (
            ["a", None, "b"],
            [1.0, math.nan, 2.0],
            np.array([1.0, math.nan, 2.0]),
            np.array(["a", None, "b"], dtype=object),
            np.ma.array([1, 2, 3], mask=[0, 1, 0]),
        ):
            self.refuses(
                ("label at position 2 is missing", lambda labels=labels: st.split([1, 2, 3], labels)),
                (
                    "label at position 2 is missing",
                    lambda labels=labels: st.cluster_bootstrap(lambda c: c["x"].mean(), {"x": [1, 2, 3]}, labels, 1),
                ),
            )
        self.refuses(("labels 1 and '1' print alike", lambda: st.split([1, 2, 3], [1, "1", 2])))

    def test_circular(self):
        for quantity, grouping in (
            ("z_lumbar", "bmd_class"),
            ("tscore", "class"),
            ("T-score", "BMDClass"),
            ("bmd_lumbar", "bmd_category"),
            ("lumbar osteoporosis", "bmd_class"),
            ("femoral neck bone loss", "fn_class"),
            ("AgeYears", "age_group"),
            ("age_years", "AgeGroup"),
        ):
            with self.subTest(quantity), self.assertRaisesRegex(InputError, "by construction"):
                st.check_not_circular(quantity, grouping)
        for quantity, grouping in (
            ("t1_ms", "bmd_class"),
            ("bmd_lumbar", "age_class"),
            ("bmd_lumbar", "bmi_category"),
            ("bone_marrow_fat", "bmd_class"),
            ("average_ktrans", "age_group"),
        ):
            st.check_not_circular(quantity, grouping)

    def test_p_text(self):
        """What is printed lies on the same side of .05, .01 and .001 as p."""
        for p, text in (
            (0.04996, "0.04996"),
            (0.0499999, "0.0499999"),
            (0.05, "0.05"),
            (0.05004, "0.05"),
            (0.009996, "0.009996"),
            (0.0009997, "0.0009997"),
            (0.0494, "0.0494"),
        ):
            self.assertEqual(st.p_text(p), text)


class TestAgreement(Edges):
    def test_icc_without_subjects(self):
        """Subjects of equal means: ICC(1,1) is -1 / (k - 1), and that of the mean has no bound."""
        for ratings in (
            [[1, 2], [2, 1]],
            [[1, 2, 3], [2, 3, 1], [3, 1, 2]],
            [[1, 3], [3, 1], [2, 2], [0, 4]],
            [[0.1, 0.2, 0.3], [0.3, 0.1, 0.2]],
        ):
            found = st.icc(ratings)
            self.assertAlmostEqual(found["ICC(1,1)"].value, -1 / (len(ratings[0]) - 1), places=12)
            self.assertEqual(found["ICC(1,k)"].value, -math.inf)
            self.assertEqual(found["ICC(3,k)"].p, 1.0)
            self.assertTrue(all(math.isnan(limit) for limit in found["ICC(1,1)"].interval))

    def test_icc_limits_enclose(self):
        found = st.icc([[1, 3], [2, 2], [2, 0], [0, 0], [2, 2]])["ICC(2,k)"]
        self.assertAlmostEqual(found.value, 0.4286, delta=5e-5)
        self.assertEqual(found.interval[0], -math.inf)
        self.assertAlmostEqual(found.interval[1], 0.9473, delta=5e-5)
        self.assertTrue(math.isnan(st.icc([[3, 1, 4], [2, 3, 0], [1, 2, 3]])["ICC(2,k)"].value))
        random = np.random.default_rng(1)
        for _ in range(2000):
            shape = random.integers(2, 5, 2)
            try:
                found = st.icc(random.integers(0, 4, shape))
            except InputError:
                continue
            for name, one in found.items():
                low, high = one.interval
                self.assertTrue(math.isnan(low) == math.isnan(high), one)
                self.assertTrue(math.isnan(low) or low <= one.value <= high, one)
                self.assertFalse(one.value > 1, (name, one.value))

    def test_equal_differences(self):
        self.refuses(
            ("all differences are equal", lambda: st.bland_altman([1.1, 2.1, 3.1, 4.1], [1, 2, 3, 4])),
            ("no reading varies", lambda: st.repeatability([[0.1] * 3, [0.7] * 3, [1.1] * 3])),
            ("no error to compare", lambda: st.icc([[0.1] * 3, [0.7] * 3, [1.1] * 3])),
            ("rows of different lengths", lambda: st.icc([[1, 2], [3]])),
            ("does not vary", lambda: st.concordance([1, 2, 3], [0.1, 0.1, 0.1])),
        )

    def test_concordance_of_any_unit(self):
        x, y = np.array([1.0, 2.0, 4.0, 3.0, 7.0]), np.array([1.5, 1.8, 4.2, 3.9, 6.0])
        truth = st.concordance(x, y)
        for unit in (1e-170, 1e140):
            found = st.concordance(x * unit, y * unit)
            np.testing.assert_allclose([found.value, *found.interval], [truth.value, *truth.interval], rtol=1e-12)
        self.refuses(("too large", lambda: st.concordance(x * 1e200, y)))


class TestRates(Edges):
    def test_refusals(self):
        self.refuses(
            ("scores do not vary", lambda: st.cochran_armitage([1, 2, 3], [5, 6, 7], [0.1] * 3)),
            ("scores do not vary", lambda: st.cochran_armitage([1, 2, 0], [5, 5, 0], [1, 1, 2])),
            ("11 of 10 is no rate", lambda: st.rate("11", 10)),
            ("too large for a count", lambda: st.fisher([[1e19, 2], [3, 4]])),
            ("rows of different lengths", lambda: st.fisher([[1, 2], [3]])),
        )

    def test_text(self):
        """Newcombe 1998, table I: 81 of 263 is 30.8 %, 25.53 to 36.62 %."""
        self.assertEqual(str(st.rate(81, 263)), "81/263 = 30.8 % [25.53, 36.62] %")

    def test_ties_and_separation(self):
        """Neither tells how sure the area is."""
        tied, sick = [2.0] * 6, [1, 1, 1, 0, 0, 0]
        self.assertTrue(math.isnan(st.roc(tied, sick, True).interval[0]))
        self.assertTrue(math.isnan(st.cliff_delta([1, 1, 1], [1, 1, 1]).interval[0]))
        for values in (tied, [4, 5, 6, 1, 2, 3]):
            self.assertTrue(all(math.isnan(limit) for limit in st.auc_bootstrap(values, sick, True, 1)))
        self.refuses(
            ("199 resamples", lambda: st.auc_bootstrap([1, 3, 5, 2, 4, 6], sick, True, 1, 199)),
            ("seed of -1", lambda: st.auc_bootstrap([1, 3, 5, 2, 4, 6], sick, True, -1)),
        )


class TestCorrelation(Edges):
    def test_spearman_of_few(self):
        """All orders of y counted, one by one."""
        found = st.spearman([4, 1, 3, 2], [40, 10, 30, 20])
        self.assertAlmostEqual(found.p, 2 / 24, places=12)
        self.assertTrue(all(math.isnan(limit) for limit in found.interval))
        for x, y in (
            ([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5]),
            ([1.5, 2, 2, 4, 5], [3, 3, 1, 7, 9]),
            ([1, 1, 2, 3, 3, 3], [2, 5, 5, 1, 5, 2]),
        ):
            r = stats.spearmanr(x, y).statistic
            orders = [abs(stats.spearmanr(x, order).statistic) for order in itertools.permutations(y)]
            found = st.spearman(x, y)
            self.assertAlmostEqual(found.p, np.mean(np.array(orders) >= abs(r) - 1e-9), places=12)
            self.assertAlmostEqual(found.r, r, places=12)

    def test_partial_of_any_unit(self):
        random = np.random.default_rng(4)
        a, b, x, y = random.normal(size=(4, 30))
        x, y = x + a + 2 * b, y - a + b
        truth = st.partial(x, y, {"a": a, "b": b})
        design = np.column_stack([np.ones(30), a, b])
        left = [values - design @ np.linalg.lstsq(design, values, rcond=None)[0] for values in (x, y)]
        self.assertAlmostEqual(truth.r, np.corrcoef(left)[0, 1], places=12)
        found = st.partial(x, y, {"a": a * 1e8, "b": b * 1e-6})
        self.assertAlmostEqual(found.r, truth.r, places=10)
        self.assertAlmostEqual(found.p, truth.p, places=10)
        again = st.partial(x, y, {"a": a, "b": b, "c": a - b})  # c takes no degree of freedom
        self.assertAlmostEqual(again.p, truth.p, places=10)

    def test_refusals(self):
        x, y = [1.0, 2.0, 4.0, 3.0, 7.0], [1.5, 1.8, 4.2, 3.9, 6.0]
        self.refuses(
            ("no counts", lambda: st.pearson_from_r(0.5, math.nan)),
            ("no counts", lambda: st.pearson_from_r(0.5, 20, -3)),
            ("use pearson", lambda: st.partial(x, y, {})),
            ("age does not vary", lambda: st.partial(x, y, {"age": [50] * 5})),
            ("x does not vary", lambda: st.pearson([1e9, 1e9 + 1e-6, 1e9 + 2e-6], [1, 2, 4])),
        )


class TestRegression(Edges):
    def test_exact_fits(self):
        one = [-1, -1, 1, 1]
        subjects = np.repeat(np.arange(6), 3)
        x = np.random.default_rng(0).normal(size=18)
        groups, z = np.repeat(list("abc"), 4), np.arange(12.0)
        self.refuses(
            ("fits exactly", lambda: st.linear_regression(one, {"x": one, "z": [-1, 1, -1, 1]})),
            ("fits exactly", lambda: st.line_band([1, 2, 3], [2, 4, 6], [1])),
            ("fits exactly", lambda: st.ancova(z * 0.3 + np.repeat([0, 1, 2], 4) * 0.7, groups, z)),
            ("fits exactly", lambda: st.random_intercept(2 * x, {"x": x}, subjects)),
            ("do not vary within", lambda: st.random_intercept(2 * x + subjects**2, {"x": x}, subjects)),
            ("the outcome does not vary", lambda: st.linear_regression([0.1] * 6, {"x": [1, 2, 3, 4, 5, 6]})),
            ("needs a predictor", lambda: st.variance_inflation({})),
            ("b holds 2 values, not 3", lambda: st.variance_inflation({"a": [1, 2, 3], "b": [1, 2]})),
            ("'a' does not vary", lambda: st.variance_inflation({"a": [0.1] * 3, "b": [1, 2, 4]})),
            ("age does not vary within any group", lambda: st.ancova(z, groups, np.repeat([0.1, 0.7, 0.3], 4))),
            ("too large", lambda: st.ancova(z * 1e200, groups, z)),
        )

    def test_parallel_of_exact_slopes(self):
        """A line of its own through every group leaves no error to test slopes with."""
        groups, z = np.repeat(list("ab"), 4), np.tile(np.arange(4.0), 2)
        found = st.ancova(z * np.repeat([0.3, 0.7], 4), groups, z)
        self.assertTrue(math.isnan(found.parallel.p))

    def test_covariate_of_any_unit(self):
        random = np.random.default_rng(2)
        groups, z, y = np.repeat(list("abc"), 8), random.normal(60, 8, 24), random.normal(size=24)
        truth = st.ancova(y, groups, z)
        for unit in (1e-13, 1e-40, 1e30):
            found = st.ancova(y, groups, z * unit)
            self.assertAlmostEqual(found.groups.f / truth.groups.f, 1, places=10)
            self.assertAlmostEqual(found.covariate.p / truth.covariate.p, 1, places=10)

    def test_line_far_away(self):
        """The line through points far from 0 is the one near 0, moved."""
        random = np.random.default_rng(3)
        x, y = np.arange(20.0), random.normal(size=20)
        middle, low, _ = st.line_band(x, y, x)
        far = st.line_band(x + 2.0**40, y, x + 2.0**40)
        np.testing.assert_allclose(far[0], middle, rtol=0, atol=1e-12)
        np.testing.assert_allclose(far[1], low, rtol=0, atol=1e-12)


class TestClustered(Edges):
    def test_between_subjects(self):
        """Balanced, a difference of groups of subjects is the t-test of the subjects' means."""
        random = np.random.default_rng(6)
        for per_group in (2, 4, 10):
            subjects = np.repeat(np.arange(2 * per_group), 4)
            group = (subjects < per_group).astype(float)
            y = random.normal(0, 2, 2 * per_group)[subjects] + random.normal(size=subjects.size)
            found = st.random_intercept(y, {"group": group}, subjects)
            self.assertGreater(found.between_variance, 0)
            means = y.reshape(-1, 4).mean(axis=1)
            truth = stats.ttest_ind(means[:per_group], means[per_group:])
            self.assertEqual(found["group"].df, 2 * per_group - 2)
            self.assertEqual(found["intercept"].df, 2 * per_group - 2)
            self.assertAlmostEqual(found["group"].t, truth.statistic, places=6)
            self.assertAlmostEqual(found["group"].p, truth.pvalue, places=6)
            np.testing.assert_allclose(found["group"].interval, truth.confidence_interval(), rtol=1e-5)

    def test_within_subjects(self):
        """Two values of each subject, one per condition: the paired t-test."""
        random = np.random.default_rng(7)
        subjects, late = np.repeat(np.arange(8), 2), np.tile([0.0, 1.0], 8)
        y = random.normal(0, 2, 8)[subjects] + 0.8 * late + random.normal(size=16)
        found = st.random_intercept(y, {"late": late}, subjects)
        truth = stats.ttest_rel(y[1::2], y[::2])
        self.assertEqual((found["late"].df, found["intercept"].df), (7, 7))
        self.assertAlmostEqual(found["late"].t, truth.statistic, places=6)
        self.assertAlmostEqual(found["late"].p, truth.pvalue, places=6)
        self.assertIn(f"t(7) = {truth.statistic:.4g}", str(found))

    def test_coverage(self):
        """Of four subjects the 95 % interval of their groups' difference holds it that often."""
        random = np.random.default_rng(9)
        subjects = np.repeat(np.arange(4), 4)
        group = (subjects < 2).astype(float)
        hits = 0
        for _ in range(300):
            y = random.normal(size=4)[subjects] + random.normal(0, 0.5, 16)
            low, high = st.random_intercept(y, {"group": group}, subjects)["group"].interval
            hits += low < 0 < high
        self.assertGreater(hits, 272)

    def test_nearly_collinear(self):
        """Predictors that differ by 3e-4 of their spread: generalized least squares in differences of the two."""
        random = np.random.default_rng(10)
        subjects = np.repeat(np.arange(10), 4)
        a = random.normal(size=10)[subjects]
        noise = random.normal(size=10)[subjects]
        y = a + random.normal(size=10)[subjects] + random.normal(size=40)
        found = st.random_intercept(y, {"a": a, "b": a + 3e-4 * noise}, subjects)
        apart = st.random_intercept(y, {"a": a, "noise": noise}, subjects)
        # y = alpha a + beta (a + 3e-4 noise)
        self.assertAlmostEqual(found["b"].value * 3e-4 / apart["noise"].value, 1, places=6)
        self.assertAlmostEqual(found["b"].t / apart["noise"].t, 1, places=5)
        self.assertAlmostEqual((found["a"].value + found["b"].value) / apart["a"].value, 1, places=5)
        moved = apart.log_likelihood - math.log(3e-4)  # REML depends on the units of the predictors
        self.assertAlmostEqual(found.log_likelihood, moved, places=5)

    def test_refusals(self):
        random = np.random.default_rng(11)
        subjects = np.repeat(np.arange(3), 4)
        a, b = random.normal(size=(2, 3))[:, subjects]
        y = random.normal(size=12)
        columns = {"x": [1.0, 2.0, 3.0, 5.0]}
        owners = ["a", "a", "b", "b"]

        def bootstrap(statistic, seed=1, resamples=200):
            return st.cluster_bootstrap(statistic, columns, owners, seed, resamples)

        self.refuses(
            ("3 subjects do not suffice", lambda: st.random_intercept(y, {"a": a, "b": b}, subjects)),
            ("follows from the others", lambda: st.random_intercept(y, {"a": y**2, "b": 2 * y**2}, subjects)),
            (
                "4 values of 3 subjects do not suffice",
                lambda: st.random_intercept([1, 2, 4, 7], {"x": [1, 3, 2, 2]}, [1, 1, 2, 3]),
            ),
            ("no value for all subjects: no", lambda: bootstrap(self.fails)),
            ("no value for all subjects: it is nan", lambda: bootstrap(lambda _: math.nan)),
            ("no value in", lambda: bootstrap(lambda c: 1 / (len(np.unique(c["x"])) - 2))),
            ("seed of -1", lambda: bootstrap(lambda c: float(c["x"].mean()), -1)),
            ("100 resamples", lambda: bootstrap(lambda c: float(c["x"].mean()), 1, 100)),
        )
        found = bootstrap(lambda c: float(c["x"].mean()))
        self.assertIn("of 2 subjects; too narrow with so few", str(found))

    @staticmethod
    def fails(_):
        raise ZeroDivisionError("no")


if __name__ == "__main__":
    unittest.main()
