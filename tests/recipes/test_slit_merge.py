"""What is wrong with native bins is told: by the bins of the merged spectrum, and by a warning."""

from types import SimpleNamespace

import numpy as np

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum
from soxspipe.recipes import slit_merge, slit_steps
from soxspipe.recipes.slit_merge import Scale


def flagged(flags):
    """The spectrum of one order with these flags."""
    zero = np.zeros(50)
    order = OrderSpectrum(
        wavelength=500.0 + 0.05 * np.arange(50),
        bin_width=zero + 0.05,
        flux=zero,
        variance=zero,
        boxcar=zero,
        boxcar_variance=zero,
        boxcar_robust=zero,
        sky=zero,
        blaze=zero,
        flags=flags,
        x=zero,
        y=zero,
    )
    return OrderSpectra({1: order})


def test_flags_of_native_bins_reach_the_merged_bins_they_overlap():
    flags = np.zeros(50, dtype="u2")
    flags[10] = PixelFlag.SATURATED | PixelFlag.BAD
    flags[20] = PixelFlag.NOTHING_LEFT | PixelFlag.SATURATED
    flags[30] = PixelFlag.NO_FLAT  # no reason not to trust a spectrum
    image = SimpleNamespace(spectra=flagged(flags))
    edges = 499.99 + 0.02 * np.arange(140)
    told = slit_merge._reasons(image, Scale(0.02), edges)
    middle = edges[:-1] + 0.01
    near = [np.abs(middle - 500.0 - 0.05 * k) for k in (10, 20)]
    assert (told[near[0] < 0.02] == PixelFlag.SATURATED | PixelFlag.BAD).all()
    assert (told[near[1] < 0.02] == PixelFlag.SATURATED).all()
    assert (told[(near[0] > 0.04) & (near[1] > 0.04)] == 0).all()


def test_a_saturated_spectrum_is_told(caplog):
    flags = np.zeros(50, dtype="u2")
    slit_steps.tell_saturated(flagged(flags))
    assert caplog.text == ""
    flags[7:9] = PixelFlag.SATURATED | PixelFlag.NOTHING_LEFT
    slit_steps.tell_saturated(flagged(flags))
    assert "4.0 % of the spectrum is saturated" in caplog.text
