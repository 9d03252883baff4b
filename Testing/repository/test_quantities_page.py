"""docs/quantities.md says what the code says."""

import importlib.util
import unittest
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


class QuantitiesPage(unittest.TestCase):
    def test_it_is_what_the_code_makes(self):
        spec = importlib.util.spec_from_file_location("make_quantities", DOCS / "make_quantities.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        written = (DOCS / "quantities.md").read_text(encoding="utf-8")
        self.assertEqual(written, module.page(), "run python docs/make_quantities.py")
        self.assertIn(
            "| `ktrans` | Ktrans | `ktrans_per_min` | /min | `/min` | 126312 DCM Ktrans | Q.PH1.008 |", written
        )


if __name__ == "__main__":
    unittest.main()
