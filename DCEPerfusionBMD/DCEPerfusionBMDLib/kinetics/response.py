"""Convolution of an arterial curve with exp(-kep t), exact for a curve that is linear between its samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .checks import check_curve
from .signal import FloatArray

_BLOCK_VALUES = 1 << 18
_SAME_STEP = 1e-9


def response(
    times_min: npt.ArrayLike, plasma_concentration_mM: npt.ArrayLike, kep_per_min: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """h(t; kep) = integral_0^t C_p(u) exp(-kep (t - u)) du and its derivative by kep.

    Over one interval of length dt, with x = kep dt and C_p linear from c0 to c1:
    h1 = exp(-x) h0 + dt (c0 a(x) + c1 b(x)),  a = (1 - e^-x - x e^-x)/x^2,  b = (x - 1 + e^-x)/x^2.

    Parameters
    ----------
    times_min : (n_times,) increasing, two at least, in minutes; C_p is taken as zero before the first.
    plasma_concentration_mM : (n_times,).
    kep_per_min : (n_kep,) not negative.

    Returns
    -------
    h in mM min and dh/dkep in mM min^2, both (n_kep, n_times).

    Raises
    ------
    ValueError
        when there are fewer than two times, they are not finite or do not increase, or lengths differ.

    References
    ----------
    Flouri D, Lesnic D, Mayrovitz HN, Magn Reson Med 2016;76:998-1006 (the exact recursion).
    """
    t = np.asarray(times_min, dtype=float)
    plasma = np.asarray(plasma_concentration_mM, dtype=float)
    check_curve(t, plasma, "min")
    kep = np.atleast_1d(np.asarray(kep_per_min, dtype=float))
    steps = np.diff(t)
    # intervals of the same length share their weights; a regular series has one length only
    different, which = np.unique(np.rint(steps / (_SAME_STEP * steps.max())), return_inverse=True)
    dt_of = np.array([steps[which == n].mean() for n in range(different.size)])
    h = np.zeros((t.size, kep.size))
    dh = np.zeros_like(h)
    block = max(1, _BLOCK_VALUES // (8 * different.size + t.size))
    for start in range(0, kep.size, block):
        part = slice(start, start + block)
        decay, a, b, da, db = _interval_weights(kep[part] * dt_of[:, np.newaxis])
        h_now, dh_now = h[0, part], dh[0, part]
        for i, n in enumerate(which):
            dt, c0, c1 = steps[i], plasma[i], plasma[i + 1]
            dh_now = decay[n] * (dh_now - dt * h_now) + (dt * dt) * (c0 * da[n] + c1 * db[n])
            h_now = decay[n] * h_now + dt * (c0 * a[n] + c1 * b[n])
            h[i + 1, part], dh[i + 1, part] = h_now, dh_now
    return h.T, dh.T


def _interval_weights(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """exp(-x), a(x), b(x), a'(x), b'(x) of `response`; by series near zero, where the closed forms cancel."""
    decay = np.exp(-x)
    small = x < 0.1
    safe = np.where(small, 1.0, x)
    a = (1.0 - decay - safe * decay) / safe**2
    b = (safe - 1.0 + decay) / safe**2
    da = (decay - 2.0 * a) / safe
    db = (1.0 - decay) / safe**2 - 2.0 * b / safe
    if small.any():
        z = -x[small]
        a[small], b[small], da[small], db[small] = (np.polynomial.polynomial.polyval(z, c) for c in _SERIES)
    return decay, a, b, da, db


def _series() -> tuple[FloatArray, ...]:
    """Coefficients of a, b, a' and b' as polynomials of z = -x."""
    n = np.arange(12.0)
    factorial = np.cumprod(np.concatenate(([2.0], n[1:] + 2.0)))  # (n + 2)!
    a, b = (n + 1.0) / factorial, 1.0 / factorial
    return a, b, -n[1:] * a[1:], -n[1:] * b[1:]


_SERIES = _series()
