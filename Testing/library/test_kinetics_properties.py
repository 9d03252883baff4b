"""Properties that hold for any acquisition and any voxels: units, scales, order, isolation, and a fit is a best."""

import unittest

import numpy as np
from DCEPerfusionBMDLib.kinetics.aif import parker_blood_concentration, plasma_from_blood
from DCEPerfusionBMDLib.kinetics.linear import Patlak
from DCEPerfusionBMDLib.kinetics.reference import ReferenceRegion
from DCEPerfusionBMDLib.kinetics.status import FitStatus
from DCEPerfusionBMDLib.kinetics.tofts import ExtendedTofts, Tofts
from hypothesis import given, settings
from hypothesis import strategies as st

KTRANS, VE, VP = (1e-4, 5.0), (1e-3, 1.0), (0.0, 0.3)
acquisitions = st.builds(
    lambda seed, count, snr, uneven: Acquisition(seed, count, snr, uneven),
    st.integers(0, 10**6),
    st.integers(20, 70),
    st.floats(5.0, 200.0),
    st.booleans(),
)
models = st.sampled_from((Tofts, ExtendedTofts, Patlak))
some = settings(max_examples=25, deadline=None, derandomize=True)


class Acquisition:
    """Times, an arterial input, and thirty noisy voxels of the extended Tofts model."""

    def __init__(self, seed, count, snr, uneven):
        self.random = np.random.default_rng(seed)
        steps = self.random.uniform(1.0, 8.0, count) if uneven else np.full(count, 300.0 / count)
        self.times_s = np.cumsum(steps) - steps[0]
        onset = 0.1 * self.times_s[-1]
        self.plasma = plasma_from_blood(parker_blood_concentration((self.times_s - onset) / 60.0), 0.42)
        ktrans = np.exp(self.random.uniform(np.log(0.03), np.log(1.5), 30))
        vp = self.random.uniform(-0.02, 0.2, 30)
        curves = ktrans[:, np.newaxis] * self.convolved(ktrans / self.random.uniform(0.05, 0.9, 30))
        curves += vp[:, np.newaxis] * self.plasma
        self.data = curves + curves.max(axis=1, keepdims=True) / snr * self.random.standard_normal(curves.shape)

    def convolved(self, kep):
        h = np.zeros((self.times_s.size, kep.size))
        for i, dt in enumerate(np.diff(self.times_s) / 60.0):
            gain = -np.expm1(-kep * dt) / kep
            slope = (self.plasma[i + 1] - self.plasma[i]) / dt
            h[i + 1] = np.exp(-kep * dt) * h[i] + self.plasma[i] * gain + slope * (dt - gain) / kep
        return h.T

    def resolved(self, fit):
        """Voxels whose washout lasts long enough for the frames to show it."""
        if "kep_per_min" not in fit.model.free:
            return np.ones(len(fit), dtype=bool)
        return ~(fit.kep_per_min * np.median(np.diff(self.times_s)) / 60.0 > 2.0)

    def model(self, kind, time=1.0, dose=1.0):
        """A model with times longer by one factor and an input larger by another, and bounds to match."""
        ktrans, ve, vp = (tuple(np.array(b) / dose) for b in (KTRANS, VE, VP))
        ktrans = tuple(np.array(ktrans) / time)
        bounds = {Tofts: (ktrans, ve), ExtendedTofts: (ktrans, ve, vp), Patlak: (ktrans, vp)}[kind]
        return kind(time * self.times_s, dose * self.plasma, *bounds)


class Properties(unittest.TestCase):
    def assert_same(self, fit, other, factors=None, where=slice(None), rtol=1e-5):
        np.testing.assert_array_equal(fit.status[where], other.status[where])
        for name in (*fit.model.free, *fit.model.derived):
            expected = getattr(other, name)[where] * (factors or {}).get(name, 1.0)
            np.testing.assert_allclose(getattr(fit, name)[where], expected, rtol=rtol, atol=1e-7, err_msg=name)

    @some
    @given(acquisitions, models, st.sampled_from((1 / 60, 0.5, 3.0, 60.0)))
    def test_rates_are_per_unit_of_time(self, acquisition, kind, unit):
        fit = acquisition.model(kind).fit(acquisition.data)
        other = acquisition.model(kind, time=unit).fit(acquisition.data)
        self.assert_same(fit, other, {"ktrans_per_min": unit, "kep_per_min": unit})
        np.testing.assert_allclose(fit.rmse_mM, other.rmse_mM, rtol=1e-6)

    @some
    @given(acquisitions, models, st.floats(0.01, 100.0))
    def test_a_larger_input_gives_smaller_transfer_and_volumes(self, acquisition, kind, dose):
        fit = acquisition.model(kind).fit(acquisition.data)
        other = acquisition.model(kind, dose=dose).fit(acquisition.data)
        self.assert_same(fit, other, {"ktrans_per_min": dose, "ve": dose, "vp": dose})
        np.testing.assert_allclose(fit.rmse_mM, other.rmse_mM, rtol=1e-6)

    @some
    @given(acquisitions, models, st.floats(1e-3, 1e3))
    def test_the_unit_of_concentration_cancels(self, acquisition, kind, unit):
        fit = acquisition.model(kind).fit(acquisition.data)
        times_s, plasma = acquisition.times_s, unit * acquisition.plasma
        other = kind(times_s, plasma).fit(unit * acquisition.data)
        self.assert_same(fit, other)
        np.testing.assert_allclose(unit * fit.rmse_mM, other.rmse_mM, rtol=1e-6)

    @some
    @given(acquisitions, st.sampled_from((Tofts, ExtendedTofts, Patlak, ReferenceRegion)))
    def test_the_order_of_voxels_does_not_matter(self, acquisition, kind):
        model = kind(acquisition.times_s, acquisition.plasma)
        order = acquisition.random.permutation(30)
        fit, other = model.fit(acquisition.data), model.fit(acquisition.data[order])
        np.testing.assert_array_equal(fit.status[order], other.status)
        for name in model.free:
            np.testing.assert_allclose(getattr(fit, name)[order], getattr(other, name), rtol=1e-6, atol=1e-9)

    @some
    @given(
        acquisitions,
        st.sampled_from((Tofts, ExtendedTofts, Patlak, ReferenceRegion)),
        st.sampled_from((np.nan, np.inf, -np.inf)),
        st.booleans(),
    )
    def test_a_voxel_that_is_not_finite_changes_no_other(self, acquisition, kind, value, whole):
        model = kind(acquisition.times_s, acquisition.plasma)
        broken = acquisition.data.copy()
        broken[7, slice(None) if whole else 4] = value
        fit, other = model.fit(broken), model.fit(acquisition.data)
        others = np.arange(30) != 7
        np.testing.assert_array_equal(fit.status[others], other.status[others])
        for name in model.free:
            found, expected = getattr(fit, name)[others], getattr(other, name)[others]
            # a minimum is flat: the last bit of a sum moves it by the root of that
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(fit.rmse_mM[others], other.rmse_mM[others], rtol=1e-9)
        if whole:
            self.assertEqual(fit.status[7], FitStatus.CONVERSION_INVALID)
            self.assertTrue(all(np.isnan(getattr(fit, name)[7]) for name in model.free))

    @some
    @given(acquisitions, models)
    def test_no_allowed_parameters_are_more_likely_than_the_fit(self, acquisition, kind):
        model = acquisition.model(kind)
        fit = model.fit(acquisition.data)
        fitted = np.isin(fit.status, (FitStatus.FITTED, FitStatus.AT_BOUND))
        squares = np.square(fit.predict() - acquisition.data).sum(axis=1)
        random = acquisition.random
        tolerance = np.where(acquisition.resolved(fit), 1e-6, 1e-4)[fitted]
        for spread in (1e-3, 0.05, 3.0):  # about the fit, and anywhere
            for _ in range(10):
                ktrans = np.clip(fit.ktrans_per_min * np.exp(spread * random.standard_normal(30)), *KTRANS)
                volume = np.zeros(30)
                if kind is not Tofts:
                    volume = np.clip(fit.vp + 0.1 * spread * random.standard_normal(30), *VP)
                if kind is Patlak:
                    h = self.areas(acquisition)
                else:
                    ve = np.clip(fit.ve * np.exp(spread * random.standard_normal(30)), *VE)
                    kep = np.where(fitted, ktrans / ve, 1.0)
                    h = acquisition.convolved(kep)
                curves = ktrans[:, np.newaxis] * h + volume[:, np.newaxis] * acquisition.plasma
                other = np.square(curves - acquisition.data).sum(axis=1)
                self.assertTrue((squares[fitted] <= other[fitted] * (1 + tolerance)).all())

    @staticmethod
    def areas(acquisition):
        plasma, dt = acquisition.plasma, np.diff(acquisition.times_s) / 60.0
        return np.concatenate(([0.0], np.cumsum(0.5 * (plasma[1:] + plasma[:-1]) * dt)))

    @some
    @given(acquisitions, models)
    def test_frames_without_weight_change_nothing(self, acquisition, kind):
        times_s, plasma, data = acquisition.times_s, acquisition.plasma, acquisition.data
        between = times_s[:-1] + 0.4 * np.diff(times_s)
        where = np.searchsorted(times_s, between)
        more_s = np.insert(times_s, where, between)
        more_s = np.append(more_s, times_s[-1] + 20.0)
        more_plasma = np.append(np.interp(more_s[:-1], times_s, plasma), 0.4)
        more_data = np.append(np.insert(data, where, 1e3, axis=1), np.full((30, 1), -1e3), axis=1)
        weights = np.isin(more_s, times_s).astype(float)
        fit = kind(times_s, plasma).fit(data)
        other = kind(more_s, more_plasma).fit(more_data, weights)
        resolved = acquisition.resolved(fit)
        self.assert_same(fit, other, where=resolved, rtol=1e-2)  # valleys are flat
        np.testing.assert_allclose(fit.rmse_mM[resolved], other.rmse_mM[resolved], rtol=1e-4)
        np.testing.assert_allclose(fit.rmse_mM, other.rmse_mM, rtol=1e-3)


if __name__ == "__main__":
    unittest.main()
