"""Spectra from a rectified image: the star's flux, errors true for bins and for sums of bins."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.science.extraction.merge_images import ImagePart, merge_images
from soxspipe.science.extraction.rectify import Values, rectify
from soxspipe.science.extraction.slit_sums import aperture, box_sums, optimal_sums, pieces
from tests.science.extraction.one_order import STEP, gaussian_share, lines, noisy, order_pixels

N, CENTRE, FWHM = 400, 0.7, 1.1
STEPS = {"columns": N, "step": 0.06, "slit_step": 0.28}


@pytest.fixture(scope="module")
def pixels():
    return order_pixels(N, tilt=0.4)


def spectrum_of(pixels):
    return 400.0 + lines(pixels.bin, [120.0, 260.0], [2000.0, 3000.0], sigma=2.0)


def image_of(pixels, data, variance, flags=None):
    bits = np.zeros(len(data), dtype="u2") if flags is None else flags
    image = rectify(pixels, Values(data, variance, bits, np.full(len(data), 3.0)), **STEPS)
    return merge_images([ImagePart(image, np.ones(image.grid.shape[1]))])


def share_of(image):
    """The profile in the rectified image: the star's, over a pixel, spread over it, in a bin."""
    from scipy.special import ndtr

    sigma = np.hypot(FWHM / 2.3548, 0.28 * np.sqrt(2.0 / 12.0))
    low, high = image.slit - 0.14 - CENTRE, image.slit + 0.14 - CENTRE
    return np.repeat((ndtr(high / sigma) - ndtr(low / sigma))[:, None], image.grid.shape[1], axis=1)


def test_pieces_list_every_bin_once(pixels):
    light = spectrum_of(pixels) * gaussian_share(pixels, CENTRE, FWHM)
    image = image_of(pixels, light, light + 16.0)
    parts = pieces(image, 3)
    index = np.concatenate([p.index for p in parts.values()])
    assert np.array_equal(np.sort(index), np.flatnonzero(np.isfinite(image.flux)))
    for part in parts.values():
        assert (np.diff(part.bin) >= 0).all()
        assert part.grid[part.nearest] == pytest.approx(part.wavelength)
        assert image.slit[part.index // image.grid.shape[1]] == pytest.approx(part.slit)


def test_flux_and_errors_are_true(pixels):
    """Bins, and sums of 25 of them with the factor, for optimal and boxcar sums."""
    rng = np.random.default_rng(7)
    light = spectrum_of(pixels) * gaussian_share(pixels, CENTRE, FWHM)
    truth = image_of(pixels, light, light + 16.0)
    share, trace = share_of(truth), np.full(truth.grid.shape[1], CENTRE)
    inside = aperture(truth, trace, 4.2)
    perfect = {"optimal": optimal_sums(truth, share, inside), "box": box_sums(truth, share, inside)}
    single = {name: [] for name in perfect}
    many = {name: [] for name in perfect}
    for _ in range(60):
        data, variance = noisy(rng, light)
        image = image_of(pixels, data, variance)
        found = {
            "optimal": optimal_sums(image, share, inside),
            "box": box_sums(image, share, inside),
        }
        for name, sums in found.items():
            off = (sums.flux - perfect[name].flux)[60:-60]
            error = np.sqrt(sums.variance)[60:-60]
            single[name].append((off / error)[::5])
            n = len(off) // 25 * 25
            total = off[:n].reshape(-1, 25).sum(axis=1)
            naive = np.sqrt((error[:n] ** 2).reshape(-1, 25).sum(axis=1))
            many[name].append(total / (naive * sums.factor[60:-60][12:n:25]))
    for name in perfect:
        assert np.std(single[name]) == pytest.approx(1.0, abs=0.03)
        # 1300 sums; at their ends a sum of 25 shares less than one of very many
        assert np.std(many[name]) == pytest.approx(0.98, abs=0.06)
        assert perfect[name].factor[100] > 1.3


def test_flux_is_that_of_the_star(pixels):
    light = spectrum_of(pixels) * gaussian_share(pixels, CENTRE, FWHM)
    image = image_of(pixels, light, light + 16.0)
    inside = aperture(image, np.full(image.grid.shape[1], CENTRE), 5.0)
    known = slice(60, -60)
    expected = 400.0 * 0.06 / STEP
    for sums in (
        optimal_sums(image, share_of(image), inside),
        box_sums(image, share_of(image), inside),
    ):
        assert np.median(sums.flux[known]) == pytest.approx(expected, rel=3e-3)
        line = np.sum(sums.flux[known] - expected)
        assert line == pytest.approx(5000.0 * 2.0 * np.sqrt(2 * np.pi), rel=1e-2)
        assert np.median(sums.sky) == pytest.approx(3.0 * 0.06 / STEP * 5.0 / 0.28, rel=1e-2)
        assert not sums.flags[known].any()


def test_bad_bins_do_no_harm(pixels):
    light = spectrum_of(pixels) * gaussian_share(pixels, CENTRE, FWHM)
    hit = (np.abs(pixels.bin - 200.0) < 1.5) & (np.abs(pixels.slit - 1.0) < 0.5)
    flags = np.where(hit, PixelFlag.COSMIC_RAY, 0).astype("u2")
    data = np.where(hit, 1e5, light)
    image, clean = (
        image_of(pixels, data, light + 16.0, flags),
        image_of(pixels, light, light + 16.0),
    )
    share = share_of(image)
    inside = aperture(image, np.full(image.grid.shape[1], CENTRE), 4.2)
    for sums in (optimal_sums, box_sums):
        found, wanted = sums(image, share, inside), sums(clean, share, inside)
        known = np.isfinite(wanted.flux) & np.isfinite(found.flux)
        assert np.abs(found.flux / wanted.flux - 1.0)[known].max() < 0.1
        assert found.variance[200 * 10 // 6] >= 0.8 * wanted.variance[200 * 10 // 6]
    assert (box_sums(image, share, inside).flags & PixelFlag.COSMIC_RAY).any()
    # what nobody flagged, the profile tells
    small = hit & (pixels.slit > 1.1)
    assert small.any()
    unflagged = image_of(pixels, np.where(small, 1e5, light), light + 16.0)
    found = optimal_sums(unflagged, share, inside)
    middle = slice(60, -60)
    assert np.nanmax(found.flux[middle]) < 1.2 * np.nanmax(
        optimal_sums(clean, share, inside).flux[middle]
    )


def test_where_the_star_is_beyond_the_image_nothing_is_said(pixels):
    light = np.ones(len(pixels.index))
    image = image_of(pixels, light, light)
    share = np.zeros(image.grid.shape)
    inside = aperture(image, np.full(image.grid.shape[1], 20.0), 4.2)
    for sums in (optimal_sums(image, share, inside), box_sums(image, share, inside)):
        assert np.isnan(sums.flux).all()
        assert (sums.flags == PixelFlag.NOTHING_LEFT).all()


def test_the_error_of_the_sky_is_part_of_that_of_sums(pixels):
    """A sky that is wrong by the same amount in all pixels of a wavelength."""
    rng = np.random.default_rng(9)
    n, light = len(pixels.index), spectrum_of(pixels) * gaussian_share(pixels, CENTRE, FWHM)
    sigma, flags = 2.0 * pixels.area / 0.28, np.zeros(len(pixels.index), dtype="u2")
    off = {"optimal": [], "box": []}
    for _ in range(80):
        data, variance = noisy(rng, light)
        # one error for four native bins, so that single bins of the image see it whole
        wrong = np.repeat(rng.normal(0.0, 1.0, N // 4 + 2), 4)[np.rint(pixels.bin + 2).astype(int)]
        values = Values(data + sigma * wrong, variance, flags, np.full(n, 3.0), sigma)
        image = rectify(pixels, values, **STEPS)
        image = merge_images([ImagePart(image, np.ones(image.grid.shape[1]))])
        share = share_of(image)
        inside = aperture(image, np.full(image.grid.shape[1], CENTRE), 4.2)
        for name, sums in (
            ("optimal", optimal_sums(image, share, inside)),
            ("box", box_sums(image, share, inside)),
        ):
            off[name].append(np.stack([sums.flux, np.sqrt(sums.variance)]))
    for found in off.values():
        flux, error = np.moveaxis(np.array(found)[:, :, 60:-60], 1, 0)
        pull = (flux - flux.mean(axis=0)) / error
        # bins at the change from one error to the next see less of both
        assert pull.std() == pytest.approx(0.95, abs=0.06)
        assert np.percentile(pull.std(axis=0), 80) == pytest.approx(1.03, abs=0.1)
