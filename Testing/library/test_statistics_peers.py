"""Every test beside statsmodels, pingouin or scipy on 200 random data sets."""

import importlib.util
import math
import unittest

import numpy as np
from DCEPerfusionBMDLib import statistics as st
from scipy import stats
from support import against, measured

SETS = 200
NEEDS = unittest.skipUnless(
    all(importlib.util.find_spec(name) for name in ("statsmodels", "pingouin")),
    "statsmodels and pingouin are absent: pip install '.[peers]'",
)


def random_samples(seed, least=3, groups=None):
    """Two to five groups of different size, mean and spread; every third set has ties."""
    random = np.random.default_rng(seed)
    k = groups or int(random.integers(2, 6))
    samples = {}
    for i in range(k):
        size = int(random.integers(least, 40))
        values = random.normal(random.normal(0, 0.7), random.uniform(0.5, 2), size)
        samples[f"g{i}"] = np.round(values, 1) if seed % 3 == 0 else values
    return samples


def stacked(samples):
    """All values, and the group of each."""
    return np.concatenate(list(samples.values())), np.repeat(list(samples), [len(part) for part in samples.values()])


def exact_spearman(x, y):
    """P of Spearman's correlation over all orders, by scipy's permutation test."""
    ranks = stats.rankdata(y)

    def correlation(moved, axis):
        about = stats.rankdata(moved, axis=axis) - ranks.mean()
        return np.sum(about * (ranks - ranks.mean()), axis=axis)

    return stats.permutation_test(
        (x,), correlation, permutation_type="pairings", vectorized=True, n_resamples=math.inf
    ).pvalue


def agree(test, found, truth, tolerance=1e-8, **note):
    """Equal to 1e-8, absolute or relative; tiny p-values absolute only."""
    with test.subTest(**note):
        found, truth = np.asarray(found, dtype=float), np.asarray(truth, dtype=float)
        finite = np.isfinite(truth)
        np.testing.assert_array_equal(found[~finite], truth[~finite])
        error = np.abs(found[finite] - truth[finite]) / (1.0 + np.abs(truth[finite]))
        measured(test, "difference, relative or absolute", np.append(error, 0.0), tolerance)


class TestScipy(unittest.TestCase):
    @against("Statistics", "200 random sets: ANOVA, Kruskal-Wallis, Levene", "scipy", "anova, kruskal, levene")
    def test_groups(self):
        for seed in range(SETS):
            samples = random_samples(seed)
            arrays = list(samples.values())
            truth = stats.f_oneway(*arrays)
            found = st.anova(samples)
            agree(self, (found.f, found.p), (truth.statistic, truth.pvalue), seed=seed)
            truth = stats.kruskal(*arrays)
            agree(self, (st.kruskal(samples).h, st.kruskal(samples).p), (truth.statistic, truth.pvalue), seed=seed)
            for center in ("mean", "median"):
                truth = stats.levene(*arrays, center=center)
                found = st.levene(samples, center)
                agree(self, (found.statistic, found.p), (truth.statistic, truth.pvalue), seed=seed)

    def test_t(self):
        for seed in range(SETS):
            samples = random_samples(seed, groups=2)
            a, b = samples.values()
            for kind, function in (("student", st.student_t), ("welch", st.welch_t)):
                truth = stats.ttest_ind(a, b, equal_var=kind == "student")
                found = function(samples)
                agree(self, (found.t, found.p, found.df), (truth.statistic, truth.pvalue, truth.df), seed=seed)
                agree(self, found.interval, tuple(truth.confidence_interval()), seed=seed)
            size = min(a.size, b.size)
            truth = stats.ttest_rel(a[:size], b[:size])
            found = st.paired_t(a[:size], b[:size])
            agree(self, (found.t, found.p), (truth.statistic, truth.pvalue), seed=seed)

    def test_tukey(self):
        for seed in range(SETS):
            samples = random_samples(seed)
            truth = stats.tukey_hsd(*samples.values())
            found = st.tukey(samples)
            names = list(samples)
            for pair in found.pairs:
                i, j = names.index(pair.first), names.index(pair.second)
                agree(self, pair.p, truth.pvalue[i, j], seed=seed)
            if seed % 10 == 0:
                interval = truth.confidence_interval()
                agree(self, found.pairs[0].interval, (interval.low[0, 1], interval.high[0, 1]), 1e-6, seed=seed)

    def test_dunnett(self):
        """Within the Monte-Carlo error of scipy's routine."""
        for seed in range(0, SETS, 4):
            first, *rest = random_samples(seed, groups=4).values()
            truth = stats.dunnett(*rest, control=first, random_state=np.random.default_rng(seed))
            samples = {"control": first, **{str(i): values for i, values in enumerate(rest)}}
            agree(self, [pair.p for pair in st.dunnett(samples, "control").pairs], truth.pvalue, 2e-3, seed=seed)

    @against("Statistics", "200 random sets: Pearson, Spearman", "scipy", "pearson, spearman")
    def test_correlations(self):
        for seed in range(SETS):
            random = np.random.default_rng(seed)
            x = np.round(random.normal(size=int(random.integers(5, 60))), 1 if seed % 3 else 8)
            y = x * random.normal() + random.normal(size=x.size)
            truth = stats.pearsonr(x, y)
            found = st.pearson(x, y)
            agree(self, (found.r, found.p), (truth.statistic, truth.pvalue), seed=seed)
            agree(self, found.interval, tuple(truth.confidence_interval()), seed=seed)
            r, p = stats.spearmanr(x, y)
            if x.size <= 8:
                p = exact_spearman(x, y)
            agree(self, (st.spearman(x, y).r, st.spearman(x, y).p), (r, p), seed=seed)

    def test_auc(self):
        """The area is Mann and Whitney's U; DeLong's error is that of its definition."""
        for seed in range(SETS):
            b, a = random_samples(seed, groups=2).values()
            found = st.roc(np.append(a, b), np.append(np.ones(a.size), np.zeros(b.size)), True)
            agree(self, found.auc * a.size * b.size, stats.mannwhitneyu(a, b).statistic, seed=seed)
            above = (a[:, None] > b) + (a[:, None] == b) / 2
            v10, v01 = above.mean(axis=1), above.mean(axis=0)
            agree(self, found.se, math.sqrt(v10.var(ddof=1) / a.size + v01.var(ddof=1) / b.size), seed=seed)
            best = max(np.mean(a >= c) + np.mean(b < c) for c in np.append(a, b))
            agree(self, found.sensitivity + found.specificity, best, seed=seed)


@NEEDS
class TestPeers(unittest.TestCase):
    @against("Statistics", "200 random sets: Welch's ANOVA, Games-Howell", "peers", "welch_anova, games_howell")
    def test_welch_and_games_howell(self):
        import pandas
        import pingouin

        for seed in range(SETS):
            samples = random_samples(seed)
            table = pandas.DataFrame(
                {
                    "y": np.concatenate(list(samples.values())),
                    "g": np.repeat(list(samples), [len(v) for v in samples.values()]),
                }
            )
            truth = pingouin.welch_anova(data=table, dv="y", between="g").iloc[0]
            found = st.welch_anova(samples)
            p = truth["p_unc"] if "p_unc" in truth else truth["p-unc"]
            agree(self, (found.f, found.df2, found.p), (truth["F"], truth["ddof2"], p), seed=seed)
            truth = pingouin.pairwise_gameshowell(data=table, dv="y", between="g")
            pairs = st.games_howell(samples)
            for _, row in truth.iterrows():
                pair = pairs[row["A"], row["B"]]
                agree(self, (abs(pair.statistic), pair.df, pair.p), (abs(row["T"]), row["df"], row["pval"]), seed=seed)

    def test_corrections(self):
        from statsmodels.stats.multitest import multipletests

        for seed in range(SETS):
            p = np.random.default_rng(seed).uniform(size=seed % 9 + 1) ** 3
            for method, function in (
                ("holm", st.holm),
                ("fdr_bh", st.benjamini_hochberg),
                ("bonferroni", st.bonferroni),
            ):
                agree(self, function(p), multipletests(p, method=method)[1], seed=seed)

    def test_effect_size(self):
        import pingouin

        for seed in range(SETS):
            samples = random_samples(seed, groups=2)
            a, b = samples.values()
            g, interval = st.hedges_g(samples)
            df = a.size + b.size - 2
            d = pingouin.compute_effsize(a, b, eftype="cohen")
            agree(self, g, d * math.gamma(df / 2) / math.sqrt(df / 2) / math.gamma((df - 1) / 2), seed=seed)
            error = math.sqrt((a.size + b.size) / (a.size * b.size) + g**2 / (2 * (a.size + b.size)))
            agree(self, interval[1] - g, stats.norm.ppf(0.975) * error, seed=seed)

    def test_partial(self):
        import pandas
        import pingouin

        for seed in range(SETS):
            random = np.random.default_rng(seed)
            table = pandas.DataFrame(random.normal(size=(int(random.integers(8, 60)), 4)) @ random.normal(size=(4, 4)))
            table.columns = ["x", "y", "a", "b"]
            truth = pingouin.partial_corr(data=table, x="x", y="y", covar=["a", "b"]).iloc[0]
            found = st.partial(table["x"], table["y"], {"a": table["a"], "b": table["b"]})
            p = truth["p_val"] if "p_val" in truth else truth["p-val"]
            agree(self, (found.r, found.p), (truth["r"], p), seed=seed)

    @against("Statistics", "200 random sets: regression", "peers", "linear_regression")
    def test_regression(self):
        import statsmodels.api
        from statsmodels.stats.outliers_influence import variance_inflation_factor

        for seed in range(SETS):
            random = np.random.default_rng(seed)
            x = random.normal(size=(int(random.integers(8, 60)), 3)) @ random.normal(size=(3, 3)) + random.normal(
                size=3
            )
            y = x @ random.normal(size=3) + random.normal(size=len(x)) * 2
            design = statsmodels.api.add_constant(x)
            truth = statsmodels.api.OLS(y, design).fit()
            found = st.linear_regression(y, dict(zip("abc", x.T, strict=True)))
            agree(self, [c.value for c in found.coefficients], truth.params, seed=seed)
            agree(self, [c.se for c in found.coefficients], truth.bse, seed=seed)
            agree(self, [c.p for c in found.coefficients], truth.pvalues, seed=seed)
            agree(self, [c.interval for c in found.coefficients], truth.conf_int(), seed=seed)
            agree(
                self,
                (found.r2, found.adjusted_r2, found.p),
                (truth.rsquared, truth.rsquared_adj, truth.f_pvalue),
                seed=seed,
            )
            vif = [variance_inflation_factor(design, i) for i in (1, 2, 3)]
            agree(self, [c.vif for c in found.coefficients[1:]], vif, seed=seed)
            line = statsmodels.api.OLS(y, design[:, :2]).fit().get_prediction(design[:5, :2])
            middle, low, high = st.line_band(x[:, 0], y, x[:5, 0])
            agree(self, middle, line.predicted_mean, seed=seed)
            agree(self, np.column_stack([low, high]), line.conf_int(), seed=seed)

    @against("Statistics", "200 random sets: analysis of covariance", "peers", "ancova")
    def test_ancova(self):
        import pandas
        from statsmodels.formula.api import ols
        from statsmodels.stats.anova import anova_lm

        for seed in range(SETS):
            random = np.random.default_rng(seed)
            samples = random_samples(seed, least=4)
            y, labels = (
                np.concatenate(list(samples.values())),
                np.repeat(list(samples), [len(v) for v in samples.values()]),
            )
            age = random.normal(60, 8, y.size)
            table = pandas.DataFrame({"y": y + 0.05 * age, "g": labels, "age": age})
            fit = ols("y ~ C(g) + age", table).fit()
            truth = anova_lm(fit, typ=2)
            found = st.ancova(table["y"].to_numpy(), labels, age)
            agree(self, (found.groups.f, found.covariate.f), truth["F"].to_numpy()[:2], seed=seed)
            agree(self, (found.groups.p, found.covariate.p), truth["PR(>F)"].to_numpy()[:2], seed=seed)
            slopes = anova_lm(ols("y ~ C(g) * age", table).fit(), typ=2)
            agree(self, found.parallel.f, slopes["F"].to_numpy()[2], seed=seed)
            means = fit.predict(pandas.DataFrame({"g": list(samples), "age": age.mean()}))
            agree(self, list(found.adjusted_means.values()), means, seed=seed)

    def test_proportions(self):
        import statsmodels.api
        from statsmodels.stats.proportion import proportion_confint

        for seed in range(SETS):
            random = np.random.default_rng(seed)
            totals = random.integers(5, 80, 4)
            counts = np.maximum(random.binomial(totals, random.uniform(0.1, 0.9, 4)), 1)
            counts[0] = min(counts[0], totals[0] - 1)
            table = statsmodels.api.stats.Table(np.column_stack([counts, totals - counts]), shift_zeros=False)
            trend = table.test_ordinal_association(row_scores=np.arange(4), col_scores=np.array([1, 0]))
            found = st.cochran_armitage(counts, totals)
            agree(self, math.copysign(math.sqrt(found.linear_by_linear), found.z), trend.zscore, seed=seed)
            interval = proportion_confint(counts[0], totals[0], method="wilson")
            agree(self, st.rate(int(counts[0]), int(totals[0])).interval, interval, seed=seed)

    def test_icc(self):
        import pandas
        import pingouin

        for seed in range(SETS):
            random = np.random.default_rng(seed)
            n, k = int(random.integers(5, 20)), int(random.integers(2, 5))
            x = random.normal(size=(n, 1)) + random.normal(size=k) * 0.3 + random.normal(size=(n, k))
            table = pandas.DataFrame({"t": np.repeat(np.arange(n), k), "r": np.tile(np.arange(k), n), "y": x.ravel()})
            truth = pingouin.intraclass_corr(table, "t", "r", "y")
            found = list(st.icc(x).values())
            agree(self, [one.value for one in found], truth["ICC"], seed=seed)
            agree(self, [one.f for one in found], truth["F"], seed=seed)
            limits = truth["CI95"] if "CI95" in truth else truth["CI95%"]
            limits = np.array(limits.tolist())
            # where that of one reading is below -1 / (k - 1), pingouin's lower limit of the mean lies above the upper
            limits[limits[:, 0] > limits[:, 1], 0] = -math.inf
            # they are rounded to two digits
            agree(self, [one.interval for one in found], limits, 5.1e-3, seed=seed)

    def test_random_intercept(self):
        import warnings

        import statsmodels.api

        for seed in range(SETS):
            random = np.random.default_rng(seed)
            sizes = random.integers(2, 6, int(random.integers(15, 40)))
            subjects = np.repeat(np.arange(sizes.size), sizes)
            x = random.normal(3, 2, subjects.size)
            y = (
                5
                + 0.3 * x
                + random.normal(0, random.uniform(0.3, 2), sizes.size)[subjects]
                + random.normal(size=x.size)
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                truth = statsmodels.api.MixedLM(y, statsmodels.api.add_constant(x), subjects).fit(reml=seed % 2 == 0)
            found = st.random_intercept(y, {"x": x}, subjects, "REML" if seed % 2 == 0 else "ML")
            agree(self, found.log_likelihood, truth.llf, 1e-5, seed=seed)
            self.assertGreater(found.log_likelihood, truth.llf - 1e-7)
            agree(self, [effect.value for effect in found.effects], truth.fe_params, 1e-3, seed=seed)
            for effect, p in zip(found.effects, truth.pvalues[:2], strict=True):  # of z, with errors as below
                agree(self, 2 * stats.norm.sf(abs(effect.value / effect.se)), p, 5e-3, seed=seed)
                agree(self, effect.t, effect.value / effect.se, seed=seed)
            degrees = sizes.size - 1, x.size - sizes.size - 1  # of subjects, and within them
            self.assertEqual(tuple(effect.df for effect in found.effects), degrees)
            p = [2 * stats.t.sf(abs(effect.t), df) for effect, df in zip(found.effects, degrees, strict=True)]
            agree(self, [effect.p for effect in found.effects], p, seed=seed)
            # the errors of generalized least squares; statsmodels inverts the Hessian of all parameters instead
            covariance = found.within_variance * np.eye(y.size)
            covariance += found.between_variance * (subjects[:, None] == subjects)
            design = np.column_stack([np.ones(y.size), x])
            exact = np.linalg.inv(design.T @ np.linalg.solve(covariance, design))
            agree(self, [effect.se for effect in found.effects], np.sqrt(np.diag(exact)), seed=seed)
            if found.between_variance > 0:  # statsmodels stops short of the bound
                variances = float(truth.cov_re[0, 0]), truth.scale
                agree(self, (found.between_variance, found.within_variance), variances, 1e-3, seed=seed)


if __name__ == "__main__":
    unittest.main()
