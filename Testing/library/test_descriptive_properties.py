"""What must hold for any curve: percent ignore the unit of the signal, voxels do not know each other."""

import unittest

import numpy as np
from DCEPerfusionBMDLib.kinetics.descriptive import describe_curves
from hypothesis import given, settings
from hypothesis import strategies as st

TIMES_S = np.cumsum(np.array([0.0] + [2.0] * 20 + [5.0] * 15 + [20.0] * 4))


@st.composite
def curves(draw):
    """Enhancement curves with noise: (n_voxels, n_times)."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, level, noise = draw(st.integers(1, 12)), draw(st.floats(0.0, 3.0)), draw(st.floats(0.001, 0.3))
    since_s = np.maximum(TIMES_S - 21.0, 0.0)
    uptake = level * (1.0 - np.exp(-since_s / 10.0)) * np.exp(-since_s * draw(st.floats(-0.002, 0.01)))
    return 100.0 * (1.0 + uptake + noise * random.standard_normal((count, TIMES_S.size)))


class Properties(unittest.TestCase):
    @settings(deadline=None, max_examples=60)
    @given(curves(), st.integers(-10, 10))
    def test_unit_of_the_signal(self, signal, power):
        """Powers of two scale floating-point numbers exactly, so nothing may change at all."""
        first = describe_curves(TIMES_S, signal, 10, 21.0)
        second = describe_curves(TIMES_S, signal * 2.0**power, 10, 21.0)
        for name, values in vars(first).items():
            np.testing.assert_array_equal(values, getattr(second, name), err_msg=name)

    @settings(deadline=None, max_examples=60)
    @given(curves(), st.randoms(use_true_random=False))
    def test_order_of_the_voxels(self, signal, random):
        order = list(range(len(signal)))
        random.shuffle(order)
        first = describe_curves(TIMES_S, signal, 10, 21.0, signal)
        second = describe_curves(TIMES_S, signal[order], 10, 21.0, signal[order])
        for name, values in vars(first).items():
            np.testing.assert_allclose(values[order], getattr(second, name), rtol=1e-12, err_msg=name)

    @settings(deadline=None, max_examples=60)
    @given(curves())
    def test_wash_out_is_never_positive(self, signal):
        found = describe_curves(TIMES_S, signal, 10, 21.0)
        self.assertFalse(np.any(found.wash_out_slope_percent_per_s > 0.0))
        self.assertTrue(np.all(found.time_to_peak_s > 0.0))


if __name__ == "__main__":
    unittest.main()
