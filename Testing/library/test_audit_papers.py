"""The audit on papers that exist nowhere: tables of made-up subjects, rounded as papers round, sound or with a fault.

The generator shares nothing with that of `test_statistics_audit`: two to seven groups, none to three digits, skewed and
tied values, rounding half up or half to even, spreads that are what the paper says they are, marks by several tests.
"""

import copy
import decimal
import itertools
import math
import unittest

import numpy as np
from DCEPerfusionBMDLib.statistics.audit import audit
from scipy import stats

ROUNDINGS = (decimal.ROUND_HALF_UP, decimal.ROUND_HALF_EVEN)
TESTS = ("lsd", "tukey", "welch", "student")


class Paper:
    """One sample of subjects, two tables of it by different groupings, and claims that are true of it."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.rounding = ROUNDINGS[random.integers(2)]
        self.stated = str(random.choice(["sd", "se", "variance"], p=[0.6, 0.2, 0.2]))
        self.test = str(random.choice(TESTS))
        n = int(random.integers(12, 260))
        self.values = self.subjects(n)
        self.digits = {name: int(random.integers(0 if np.ptp(v) > 20 else 1, 4)) for name, v in self.values.items()}
        first, edges = self.cut("age", int(random.integers(2, 8)))
        second, _ = self.cut("score", int(random.integers(2, 6)))
        tables = [self.table("Table A", first, ("age",)), self.table("Table B", second, ("score",))]
        tables[0]["limits"] = {"age": [[f"{a:.6f}", f"{b:.6f}"] for a, b in itertools.pairwise(edges)]}
        self.paper = {
            "stated": self.stated,
            "ranges": {"age": [f"{math.floor(self.values['age'].min())}", f"{math.ceil(self.values['age'].max())}"]},
            "products": [{"product": "flow", "factors": ["rate", "share"]}],
            "tables": tables,
            "correlations": self.correlations(n),
            "no_difference": self.no_difference(tables[0], first),
            "rises": self.rises(tables[0]),
        }

    def subjects(self, n: int) -> dict[str, np.ndarray]:
        random = self.random
        age = random.uniform(20, 90, n) if random.random() < 0.5 else random.beta(5, 2, n) * 60 + 30
        if random.random() < 0.5:
            age = np.floor(age)  # ties
        trend = (age - age.mean()) / age.std() * random.uniform(-1.2, 1.2)
        noise = [random.normal(size=n), random.exponential(size=n) - 1, random.standard_t(3, n)][random.integers(3)]
        score = np.round(50 + 10 * (trend + noise), int(random.integers(0, 3)))
        rate = np.exp(random.normal(1, random.uniform(0.05, 0.8), n) + 0.2 * trend)  # skewed
        share = random.beta(2, 5, n)
        other = score / 10 + random.normal(0, 3, n) * random.uniform(0.1, 1)
        counted = random.poisson(np.exp(0.3 * trend), n).astype(float)  # ties
        values = {"age": age, "score": score, "rate": rate, "share": share, "flow": rate * share, "like": other}
        return {**values, "tenth of score": score / 10, "counted": counted}

    def cut(self, name: str, groups: int) -> tuple[list[np.ndarray], list[float]]:
        """Members of the groups and their edges; groups are as unequal as chance makes them, two subjects at least."""
        values = self.values[name]
        while True:
            inner = np.sort(self.random.choice(np.unique(values)[1:], groups - 1, replace=False))
            edges = [values.min(), *inner, values.max() + 1e-3]
            members = [(values >= a) & (values < b) for a, b in itertools.pairwise(edges)]
            if all(member.sum() >= 2 for member in members):
                return members, [float(edge) for edge in edges]
            groups = max(2, groups - (self.random.random() < 0.1))

    def text(self, value: float, digits: int) -> str:
        """Rounded as written, without the binary detour."""
        exact = decimal.Decimal(repr(round(float(value), 12)))
        number = exact.quantize(decimal.Decimal(1).scaleb(-digits), self.rounding)
        return str(number if number else abs(number))

    def p(self, parts: list[np.ndarray]) -> list[float]:
        """Every group against the first, by the paper's test."""
        if self.test == "tukey":
            return [float(p) for p in stats.tukey_hsd(*parts).pvalue[0]]
        if self.test == "lsd":
            total, k = sum(part.size for part in parts), len(parts)
            square = sum(float(np.sum((part - part.mean()) ** 2)) for part in parts) / (total - k)
            error = [math.sqrt(square * (1 / part.size + 1 / parts[0].size)) for part in parts]
            t = [abs(part.mean() - parts[0].mean()) / e for part, e in zip(parts, error, strict=True)]
            return [float(2 * stats.t.sf(value, total - k)) for value in t]
        return [float(stats.ttest_ind(part, parts[0], equal_var=self.test == "student").pvalue) for part in parts]

    def table(self, name: str, members: list[np.ndarray], own: tuple[str, ...]) -> dict:
        alpha = float(self.random.choice([0.05, 0.01]))
        n = [int(member.sum()) for member in members]
        table = {
            "name": name,
            "groups": [f"g{i}" for i in range(len(members))],
            "n": n,
            "marks": {"*": {"against": "g0", "alpha": alpha}},
            "defined_by": list(own),
            "quantities": {},
            "counts": {},
        }
        for quantity, column in self.values.items():
            parts = [column[member] for member in members]
            if quantity in own or any(np.ptp(part) == 0 for part in parts):
                continue
            spread = {
                "sd": [part.std(ddof=1) for part in parts],
                "se": [part.std(ddof=1) / math.sqrt(part.size) for part in parts],
                "variance": [part.var(ddof=1) for part in parts],
            }[self.stated]
            digits = self.digits[quantity]
            more = digits + int(self.random.integers(0, 2))
            table["quantities"][quantity] = {
                "mean": [self.text(part.mean(), digits) for part in parts],
                "spread": [self.text(value, more) for value in spread],
                "marked": ["*" if i and p < alpha else "" for i, p in enumerate(self.p(parts))],
            }
        high = self.values["like"] > np.quantile(self.values["like"], self.random.uniform(0.1, 0.9))
        counts, places = [int(high[member].sum()) for member in members], int(self.random.integers(0, 3))
        others = [[c, m - c] for c, m in zip(counts, n, strict=True)]
        exact = [stats.fisher_exact([other, others[0]]).pvalue for other in others]
        table["counts"]["high"] = {
            "n": counts,
            "percent": [
                str((decimal.Decimal(100 * c) / m).quantize(decimal.Decimal(1).scaleb(-places), self.rounding))
                for c, m in zip(counts, n, strict=True)
            ],
            "marked": ["*" if p < alpha else "" for p in exact],
        }
        return table

    def correlations(self, n: int) -> list[dict]:
        found = []
        names = list(self.values)
        for _ in range(6):
            x, y = self.random.choice(names, 2, replace=False)
            r = float(np.corrcoef(self.values[x], self.values[y])[0, 1])
            entry = {"x": str(x), "y": str(y), "r": self.text(r, int(self.random.integers(2, 4))), "n": n}
            if self.random.random() < 0.5:
                entry["direction"] = "negative" if r < 0 else "positive"
            found.append(entry)
        return found

    def no_difference(self, table: dict, members: list[np.ndarray]) -> list[dict]:
        """Two quantities said not to differ in any group, by a paired or a two-sample test, Bonferroni or not."""
        names = [name for name in ("tenth of score", "like") if name in table["quantities"]]
        if len(names) < 2:
            return []
        kind, test = (
            ("paired", stats.ttest_rel),
            ("two-sample", stats.ttest_ind),
            ("two-sample", lambda a, b: stats.ttest_ind(a, b, equal_var=False)),
        )[self.random.integers(3)]
        said = self.random.random() < 0.5
        times = 1 if said else len(members)
        p = [times * float(test(*(self.values[name][member] for name in names)).pvalue) for member in members]
        claim = {"table": table["name"], "quantities": names, "alpha": 0.05, **({"test": kind} if said else {})}
        return [claim] if min(p) >= 0.05 else []

    def rises(self, table: dict) -> list[dict]:
        shares = [100 * c / n for c, n in zip(table["counts"]["high"]["n"], table["n"], strict=True)]
        least = math.floor(min(b - a for a, b in itertools.pairwise(shares)))
        return [{"table": table["name"], "count": "high", "at_least_percent": least}] if least > 0 else []


def misprint(paper: dict, random: np.random.Generator) -> str:
    """Swap two digits that differ, of a mean of a quantity that stands in both tables; where it is."""
    for _ in range(200):
        table = paper["tables"][random.integers(2)]
        shared = [name for name in paper["tables"][0]["quantities"] if name in paper["tables"][1]["quantities"]]
        quantity = str(random.choice(shared))
        means = table["quantities"][quantity]["mean"]
        cell = int(random.integers(len(means)))
        digits = [i for i, character in enumerate(means[cell]) if character.isdigit()]
        if len(digits) > 1:
            i, j = random.choice(digits, 2, replace=False)
            swapped = list(means[cell])
            swapped[i], swapped[j] = swapped[j], swapped[i]
            if "".join(swapped) != means[cell]:
                means[cell] = "".join(swapped)
                return quantity
    return ""


def wrong_percentage(paper: dict, random: np.random.Generator) -> str:
    """One percentage is that of one subject more or less."""
    table = paper["tables"][random.integers(2)]
    row = table["counts"]["high"]
    cell = int(random.integers(len(row["n"])))
    count, n = row["n"][cell], table["n"][cell]
    places = len(row["percent"][cell].partition(".")[2])
    row["percent"][cell] = f"{100 * (count + (1 if count < n else -1)) / n:.{places}f}"
    return "high"


def standard_errors(made: Paper, random: np.random.Generator) -> str:
    """One quantity of one table has standard errors where standard deviations are said, or the other way round."""
    table = made.paper["tables"][random.integers(2)]
    shared = [name for name in made.paper["tables"][0]["quantities"] if name in made.paper["tables"][1]["quantities"]]
    quantity = str(random.choice(shared))
    row = table["quantities"][quantity]
    for i, (text, n) in enumerate(zip(row["spread"], table["n"], strict=True)):
        places = len(text.partition(".")[2])
        row["spread"][i] = f"{float(text) / math.sqrt(n):.{places}f}"
    return quantity


def detection(seed: int, count: int) -> dict[str, tuple[int, int]]:
    """How many of the planted errors are found, of how many papers: by kind of error."""
    rates = {"misprint": [0, 0], "percentage": [0, 0], "standard error": [0, 0], "misprint put right": [0, 0]}
    for i in range(count):
        random = np.random.default_rng([seed, i])
        made = Paper(random)
        original = copy.deepcopy(made.paper)
        if quantity := misprint(made.paper, random):
            found = audit(made.paper).of("mean")
            rates["misprint"][1] += 1
            rates["misprint"][0] += any(quantity in finding.where for finding in found)
            texts = {t for table in original["tables"] for row in table["quantities"].values() for t in row["mean"]}
            single = [finding for finding in found if finding.suggestion and " of " not in finding.suggestion]
            rates["misprint put right"][1] += len(single)
            rates["misprint put right"][0] += sum(finding.suggestion in texts for finding in single)
        made.paper = copy.deepcopy(original)
        wrong_percentage(made.paper, random)
        rates["percentage"][1] += 1
        rates["percentage"][0] += bool(audit(made.paper).of("percentage"))
        made.paper = copy.deepcopy(original)
        if made.stated == "sd":
            quantity = standard_errors(made, random)
            rates["standard error"][1] += 1
            rates["standard error"][0] += any(quantity in finding.where for finding in audit(made.paper).of("spread"))
    return {kind: (found, of) for kind, (found, of) in rates.items()}


class TestFalseAlarms(unittest.TestCase):
    def test_consistent_papers(self):
        """None on 50 papers."""
        alarms = [
            f"{i} {finding}"
            for i in range(50)
            for finding in audit(Paper(np.random.default_rng([1, i])).paper).findings
        ]
        self.assertEqual(alarms, [])


class TestDetection(unittest.TestCase):
    def test_single_errors(self):
        rates = detection(2, 25)
        least = {"misprint": 0.8, "percentage": 0.95, "standard error": 0.8, "misprint put right": 0.9}
        for kind, share in least.items():
            found, of = rates[kind]
            self.assertGreater(of, 5, kind)
            self.assertGreaterEqual(found / of, share, f"{kind}: {found} of {of}")


if __name__ == "__main__":
    unittest.main()
