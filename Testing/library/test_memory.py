"""What an analysis takes from memory is what it would have found anew."""

import unittest

import numpy as np
from DCEPerfusionBMDLib.settings import from_dict
from DCEPerfusionBMDLib.study import analyze, same_inputs
from support import small_phantom

CHANGES = (
    {},
    {"conversion": {"hematocrit": 0.38}},
    {"conversion": {"t10_tissue_ms": 600.0}},
    {"arterial_input": {"aif": "parker"}},
    {"arterial_input": {"aif_pick": "best"}},
    {"model": {"model": "extended-tofts"}},
    {"regions": {"margin_mm": 2.0}},
    {"acquisition": {"baseline_frames": 8}},
    {"regions": {"exclude": "none"}},
    {"arterial_input": {"aif_segment": "aorta"}, "regions": {"levels": "L5=none"}},
    {},
)


class Memory(unittest.TestCase):
    def test_every_change_gives_what_a_fresh_run_gives(self):
        phantom = small_phantom(duration_s=120.0)
        series, masks = phantom.series(), phantom.segments
        memory = {}
        for values in CHANGES:
            with self.subTest(values=values):
                kept = analyze(series, masks, from_dict(values), memory=memory)
                fresh = analyze(series, masks, from_dict(values))
                for name, found in kept.maps.items():
                    np.testing.assert_array_equal(found.values, fresh.maps[name].values)
                for one, other in zip(kept.tables(), fresh.tables(), strict=True):
                    self.assertEqual(one.to_csv(), other.to_csv())
                self.assertEqual(kept.warnings, fresh.warnings)

    def test_what_counts_as_the_same_inputs(self):
        phantom = small_phantom()
        series, masks = phantom.series(), phantom.segments
        self.assertTrue(same_inputs((series, masks, {}), (series, {**masks}, {})))
        self.assertFalse(same_inputs((series, masks, {}), (phantom.series(), masks, {})))
        changed = {**masks, "L1": np.zeros_like(masks["L1"])}
        self.assertFalse(same_inputs((series, masks, {}), (series, changed, {})))
        self.assertFalse(same_inputs((series, masks, {}), (series, dict(reversed(masks.items())), {})))


if __name__ == "__main__":
    unittest.main()
