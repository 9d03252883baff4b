"""docs/quantities.md and docs/settings.md say what the code says."""

import importlib.util
import unittest
from pathlib import Path

from DCEPerfusionBMDLib.settings import all_parameters

DOCS = Path(__file__).resolve().parents[2] / "docs"


class MadePages(unittest.TestCase):
    def test_they_are_what_the_code_makes(self):
        spec = importlib.util.spec_from_file_location("make_pages", DOCS / "make_pages.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, text in module.PAGES.items():
            with self.subTest(page=name):
                written = (DOCS / name).read_text(encoding="utf-8")
                self.assertEqual(written, text(), "run python docs/make_pages.py")

    def test_a_quantity_has_its_codes(self):
        self.assertIn(
            "| `ktrans` | Ktrans | `ktrans_per_min` | /min | `/min` | 126312 DCM Ktrans | Q.PH1.008 |",
            (DOCS / "quantities.md").read_text(encoding="utf-8"),
        )

    def test_every_setting_is_there(self):
        text = (DOCS / "settings.md").read_text(encoding="utf-8")
        self.assertIn(
            "| `--margin-mm`<br>`margin_mm` | 3 | 0 to 50 mm | keep only voxels whose center is farther", text
        )
        for parameter in all_parameters():
            self.assertIn(f"| `--{parameter.option}`<br>`{parameter.name}` |", text)


if __name__ == "__main__":
    unittest.main()
