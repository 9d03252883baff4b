"""The page of validation shows every truth that the tests hold, and no failure."""

import importlib.util
import sys
import unittest

from support import REPOSITORY


class Page(unittest.TestCase):
    def test_it_is_that_of_the_tests(self) -> None:
        path = REPOSITORY / "Testing" / "benchmarks" / "validate.py"
        spec = importlib.util.spec_from_file_location("validate", path)
        assert spec is not None and spec.loader is not None
        validate = importlib.util.module_from_spec(spec)
        sys.modules["validate"] = validate  # where its dataclass looks for itself
        self.addCleanup(sys.modules.pop, "validate")
        spec.loader.exec_module(validate)
        page = (REPOSITORY / "docs" / "validation.md").read_text(encoding="utf-8")
        truths = list(validate.marked())
        self.assertGreater(len(truths), 50)
        for truth in truths:
            with self.subTest(test=truth.tests[0]):
                self.assertIn(truth.field, validate.FIELDS)
                self.assertIn(f"| {truth.what} (", page, "run make validate")
                self.assertIn(f"](../{truth.path}) |", page, "run make validate")
        self.assertNotIn("**fail**", page)


if __name__ == "__main__":
    unittest.main()
