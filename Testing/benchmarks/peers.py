"""Other programs behind one interface: arrays in, Ktrans and ve out.

Each is called as its documentation says, with its own start values, bounds and tolerances, and fits the standard Tofts
model to concentrations with the plasma curve given. `voxels` is how many it gets: enough for a few seconds.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Estimates = tuple[FloatArray, FloatArray]


class Peer:
    """A program to compare with.

    Attributes
    ----------
    name : as it is printed.
    package : name of the package on PyPI and of its import.
    module : what must be importable for the package to be the right one.
    voxels : how many voxels it is given.
    """

    name: str
    package: str
    module: str
    voxels: int

    def available(self) -> bool:
        try:
            return importlib.util.find_spec(self.module) is not None
        except ImportError:
            return False

    def fit(self, times_s: FloatArray, plasma: FloatArray, concentration: FloatArray) -> Estimates:
        """Ktrans in 1/min and ve; NaN where the program gives none."""
        raise NotImplementedError


class _CurveFit(Peer):
    """`scipy.optimize.curve_fit` voxel by voxel; start and bounds as in the OSIPI code collection."""

    package = "scipy"
    module = "scipy.optimize"
    voxels = 300

    def fit(self, times_s: FloatArray, plasma: FloatArray, concentration: FloatArray) -> Estimates:
        from scipy.optimize import curve_fit

        step_min = (times_s[1] - times_s[0]) / 60.0
        estimates = np.full((len(concentration), 2), np.nan)

        def model(_: FloatArray, ktrans: float, ve: float) -> FloatArray:
            return self.model(step_min, plasma, ktrans, ktrans / ve)

        for voxel, curve in enumerate(concentration):
            estimates[voxel], _ = curve_fit(model, times_s, curve, p0=(0.6, 0.2), bounds=((0, 1e-8), (5, 1)))
        return estimates[:, 0], estimates[:, 1]

    def model(self, step_min: float, plasma: FloatArray, ktrans: float, kep: float) -> FloatArray:
        raise NotImplementedError


class CurveFitExact(_CurveFit):
    name = "scipy curve_fit, exact convolution"

    def model(self, step_min: float, plasma: FloatArray, ktrans: float, kep: float) -> FloatArray:
        """h[i] = e h[i-1] + a Cp[i-1] + b Cp[i], with a and b the integrals of exp(-kep t) over a linear Cp."""
        from scipy.signal import lfilter

        x = max(kep * step_min, 1e-6)
        decay = np.exp(-x)
        before = step_min * (1.0 - decay - x * decay) / x**2
        after = step_min * (x - 1.0 + decay) / x**2
        h: FloatArray = lfilter([after, before], [1.0, -decay], plasma)
        return ktrans * h


class CurveFitRectangle(_CurveFit):
    name = "scipy curve_fit, np.convolve"

    def model(self, step_min: float, plasma: FloatArray, ktrans: float, kep: float) -> FloatArray:
        impulse = np.exp(-kep * step_min * np.arange(plasma.size))
        return ktrans * step_min * np.convolve(plasma, impulse)[: plasma.size]


class Osipy(Peer):
    """Levenberg-Marquardt of osipy, its default, over all voxels at once."""

    name = "osipy"
    package = "osipy"
    module = "osipy.dce"
    voxels = 4000

    def fit(self, times_s: FloatArray, plasma: FloatArray, concentration: FloatArray) -> Estimates:
        from osipy.dce import fit_model

        image = concentration[:, np.newaxis, np.newaxis, :]  # (voxels, times) raises in 0.1.4
        maps = fit_model("tofts", image, plasma, times_s).parameter_maps
        return maps["Ktrans"].values.ravel(), maps["ve"].values.ravel()


class Sepal(Peer):
    """SEPAL of the University of Edinburgh: least_squares on a convolution with the trapezoid rule."""

    name = "SEPAL"
    package = "sepal"
    module = "sepal.dce_fit"
    voxels = 300

    def fit(self, times_s: FloatArray, plasma: FloatArray, concentration: FloatArray) -> Estimates:
        from sepal.aifs import PatientSpecific
        from sepal.dce_fit import ConcToPKP
        from sepal.pk_models import Tofts

        model = Tofts(times_s, PatientSpecific(times_s, plasma))
        ktrans, ve, _ = ConcToPKP(model).proc_image(concentration, dir=None)
        return np.asarray(ktrans, dtype=float), np.asarray(ve, dtype=float)


class Dcmri(Peer):
    """dcmri fits the signal, so the concentrations are turned into its own spoiled gradient echo signal first."""

    name = "dcmri"
    package = "dcmri"
    module = "dcmri.ui_tissue"
    voxels = 300

    def fit(self, times_s: FloatArray, plasma: FloatArray, concentration: FloatArray) -> Estimates:
        import dcmri

        relaxivity, t10_s, tr_s, flip_deg, hematocrit = 4500.0, 1.0, 0.005, 15.0, 0.42  # relaxivity in 1/s/M
        signal = dcmri.signal_ss(1.0, 1.0 / t10_s + relaxivity * concentration / 1000.0, tr_s, flip_deg)
        tissue = dcmri.TissueArray(
            (len(concentration),),
            kinetics="WV",
            ca=plasma / 1000.0 * (1.0 - hematocrit),
            t=times_s,
            **{"r1": relaxivity, "R10": 1.0 / t10_s, "TR": tr_s, "FA": flip_deg, "H": hematocrit, "S0": 1.0},
        )
        tissue.train(times_s, signal, init_s0=False)
        return tissue.Ktrans * 60.0, tissue.vi


PEERS: tuple[Peer, ...] = (CurveFitExact(), CurveFitRectangle(), Osipy(), Sepal(), Dcmri())
