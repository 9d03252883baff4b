"""The agent that a text names; truth: the generic, brand and short names in the literature."""

import unittest

from DCEPerfusionBMDLib.kinetics import agent_names, relaxivity_per_s_mM

NAMES = {
    "gadobenate": ("Gadobenic acid", "gadobenate dimeglumine", "Gd-BOPTA", "MultiHance 0.1 mmol/kg", "MULTIHANCE15ml"),
    "gadopentetate": (
        "gadopentetic acid",
        "Gadopentetate dimeglumine",
        "Gd-DTPA",
        "Gd-DTPA-dimeglumine",
        "(Gd-DTPA) 15 ml",
        "Magnevist",
    ),
    "gadoterate": ("Gadoteric acid", "gadoterate meglumine", "Gd-DOTA", "DOTAREM_10ml", "Clariscan"),
    "gadobutrol": ("Gadobutrol", "Gd-BT-DO3A", "Gd-DO3A-butrol", "Gadovist1.0", "Gadavist"),
    "gadoteridol": ("gadoteridol", "Gd-HP-DO3A", "ProHance"),
    "gadodiamide": ("gadodiamide", "Gd-DTPA-BMA", "gd dtpa bma", "Omniscan (Gd-DTPA-BMA)"),
    "gadoxetate": ("gadoxetic acid", "gadoxetate disodium", "Gd-EOB-DTPA", "Primovist"),
}
UNKNOWN = (
    "",
    "Gd",
    "Gd-DTPA-BMEA",
    "Gd DTPA BMEA",
    "gadoversetamide",
    "OptiMARK",
    "Gd-DTPA-albumin",
    "Gd-DOTA_albumin",
    "XGd-DTPA",
    "gadopiclenol",
    "isogadobutrol",
    "gadobutrolate",
    "saline",
)


class Agent(unittest.TestCase):
    def test_names(self):
        self.assertEqual(sorted(NAMES), sorted(agent_names()))
        for generic, texts in NAMES.items():
            for text in texts:
                with self.subTest(text=text):
                    found = relaxivity_per_s_mM(text, 1.5)
                    self.assertIsNotNone(found)
                    self.assertEqual(found[1].split()[0], generic)

    def test_an_unknown_agent_has_no_value(self):
        for text in UNKNOWN:
            with self.subTest(text=text):
                self.assertIsNone(relaxivity_per_s_mM(text, 1.5))

    def test_values(self):
        """Rohrer 2005, plasma at 1.5 T, as dcmri tabulates it."""
        self.assertEqual(relaxivity_per_s_mM("Gd-DTPA-BMA", 1.5)[0], 4.3)
        self.assertEqual(relaxivity_per_s_mM("Gd-DTPA", 1.5)[0], 4.1)
        self.assertIsNone(relaxivity_per_s_mM("Gd-DTPA", 0.5))


if __name__ == "__main__":
    unittest.main()
