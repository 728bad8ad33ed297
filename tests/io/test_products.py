"""What is written is read back; what cannot be written leaves nothing behind."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.io.fits import Header
from astropy.table import Table

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import (
    DispersionSolution,
    OrderSolution,
    OrderTable,
    OrderTrace,
    PixelMap,
)
from soxspipe.datamodel.polynomial_table import PolynomialTable, TracePolynomial
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum, Spectrum
from soxspipe.errors import InputError
from soxspipe.io.products import (
    DispersionProduct,
    OrderTableProduct,
    read_product,
    write_product,
)

SHAPE = (12, 17)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def a_frame(rng, unit="electron"):
    flags = np.zeros(SHAPE, dtype="u2")
    flags[1, 2] = PixelFlag.HOT | PixelFlag.COSMIC_RAY
    flags[3, 4] = 1 << 15
    return Frame(rng.normal(500, 20, SHAPE), rng.uniform(10, 500, SHAPE), flags, unit)


def assert_same_frame(found, frame):
    assert np.array_equal(found.data, frame.data)
    assert np.allclose(found.variance, frame.variance, rtol=3e-7)
    assert np.array_equal(found.flags, frame.flags)
    assert found.unit == frame.unit


def test_frame(tmp_path, rng):
    frame, path = a_frame(rng), tmp_path / "new" / "f.fits"
    write_product(path, frame, Header({"OBJECT": "bias"}))
    found = read_product(path)
    assert_same_frame(found, frame)
    assert found.header["OBJECT"] == "bias"
    with fits.open(path, checksum=True) as hdus:
        assert [h.name for h in hdus] == ["FLUX", "QUAL", "ERRS", "FLAGS"]
        assert [h.header["BITPIX"] for h in hdus] == [-32, 8, -32, 16]
        assert hdus[0].header["BUNIT"] == "electron"
        assert np.array_equal(hdus["QUAL"].data, frame.flags != 0)
        assert hdus["ERRS"].data == pytest.approx(np.sqrt(frame.variance), rel=1e-6)
        assert all("CHECKSUM" in h.header and "DATASUM" in h.header for h in hdus)


def test_what_is_written_belongs_to_the_caller(tmp_path, rng):
    """Byte order on disk differs from that in memory; the array in memory must not be touched."""
    frame = a_frame(rng)
    before = frame.data.copy()
    write_product(tmp_path / "f.fits", frame, Header())
    assert np.array_equal(frame.data, before)


def test_datamd5_depends_on_the_data_alone(tmp_path, rng):
    frame = a_frame(rng)
    other = Frame(frame.data + 1, frame.variance, frame.flags)
    for name, value, card in (("a", frame, 1), ("b", frame, 2), ("c", other, 1)):
        write_product(tmp_path / f"{name}.fits", value, Header({"N": card}))
    a, b, c = (fits.getheader(tmp_path / f"{n}.fits")["DATAMD5"] for n in "abc")
    assert a == b != c


def test_master_flat(tmp_path, rng):
    lamp = {3: np.linspace(0, 1, 30, dtype="f4"), 1: np.full(17, np.nan, dtype="f4")}
    flat, path = MasterFlat(a_frame(rng, unit=""), lamp), tmp_path / "f.fits"
    write_product(path, flat, Header())
    found = read_product(path)
    assert isinstance(found, MasterFlat)
    assert_same_frame(found.frame, flat.frame)
    assert sorted(found.lamp) == [1, 3]
    for order, values in lamp.items():
        assert np.array_equal(found.lamp[order], values, equal_nan=True)


def a_solution():
    orders = {}
    for n in (10, 11, 12, 13):
        x = np.array([[100.0 + n, 0.5], [400.0, 0.1], [3.0, 0.0]])
        y = np.array([[50.0 * n, 20.0], [-3.0, 0.2], [0.1, 0.0]])
        orders[n] = OrderSolution(x, y, (900.0 + n, 990.0), (-6.0, 6.0), (910.0 + n, 980.0))
    orders[10] = OrderSolution(
        orders[10].x[:2], orders[10].y, orders[10].wavelength, (-5.5, 5.5), orders[10].lines
    )
    return DispersionSolution(orders)


def polynomials(rng):
    return (
        PolynomialTable("x", rng.normal(size=(4, 6, 1))),
        PolynomialTable("y", rng.normal(size=(3, 5, 1))),
    )


def test_dispersion_solution(tmp_path, rng):
    solution, path = a_solution(), tmp_path / "d.fits"
    write_product(path, DispersionProduct(solution, polynomials(rng)), Header())
    found = read_product(path)
    assert sorted(found.orders) == sorted(solution.orders)
    for n, order in solution.orders.items():
        assert (found.orders[n].slit, found.orders[n].lines) == (order.slit, order.lines)
        wavelength, slit = np.linspace(905, 985, 20), np.linspace(-5, 5, 20)
        assert np.array(found.predict(n, wavelength, slit)) == pytest.approx(
            np.array(solution.predict(n, wavelength, slit)), abs=1e-10
        )


def test_covariance_of_a_solution(tmp_path, rng):
    """Kept as it is, whatever its size; an order may have none, and old products have none at all."""
    orders = dict(a_solution().orders)
    for n, shape in ((11, (4, 3)), (13, (2, 1))):
        half = rng.normal(size=(shape[0] * shape[1],) * 2)
        covariance = (half @ half.T).reshape(shape + shape)
        orders[n] = replace(orders[n], x_covariance=covariance, y_covariance=2 * covariance)
    path = tmp_path / "d.fits"
    write_product(path, DispersionProduct(DispersionSolution(orders), polynomials(rng)), Header())
    found = read_product(path)
    wavelength, slit = np.linspace(905, 985, 20), np.linspace(-5, 5, 20)
    for n, order in orders.items():
        errors = np.array(order.error(wavelength, slit))
        assert np.array(found.orders[n].error(wavelength, slit)) == pytest.approx(
            errors, nan_ok=True
        )
    assert found.orders[10].x_covariance is None
    write_product(
        tmp_path / "old.fits", DispersionProduct(a_solution(), polynomials(rng)), Header()
    )
    assert "x_covariance" not in fits.getdata(tmp_path / "old.fits", "ORDER_SOLUTIONS").names
    assert read_product(tmp_path / "old.fits").orders[11].y_covariance is None


def test_documented_dispersion_table(tmp_path, rng):
    """Read as an outsider would: sum of c<ijk> order**i wavelength**j slit**k."""
    given, path = polynomials(rng), tmp_path / "d.fits"
    write_product(path, DispersionProduct(a_solution(), given), Header())
    table = fits.getdata(path, 1)
    assert list(table["axis"]) == ["x", "y"]
    assert [list(table[c]) for c in ("order_deg", "wavelength_deg", "slit_deg")] == [
        [3, 2],
        [5, 4],
        [0, 0],
    ]
    assert np.isnan(table["c350"][1])
    for row, polynomial in zip(table, given, strict=True):
        value = sum(
            row[f"c{i}{j}{k}"] * 1.1**i * 0.7**j * 2.5**k
            for i in range(row["order_deg"] + 1)
            for j in range(row["wavelength_deg"] + 1)
            for k in range(row["slit_deg"] + 1)
        )
        assert value == pytest.approx(polynomial.evaluate(1.1, 0.7, 2.5), rel=1e-9)


def an_order_table(axis="x", *, edges=True):
    orders = {}
    for n in (10, 11, 12):
        centre = np.array([100.0 * n, 12.0 + n, -3.0])
        width, shift = np.array([0.8, 0.01]), np.array([20.0, 0, 0])
        lower, upper = (centre - shift, centre + 1.1 * shift) if edges else (None, None)
        error = None if n == 11 else np.array([0.02, 0.001 * n])  # one order showed no light
        orders[n] = OrderTrace((5.0 + n, 2000.0), centre, width, lower, upper, error)
    return OrderTable(orders, axis)


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("edges", [True, False])
def test_order_table(tmp_path, axis, edges):
    table, path = an_order_table(axis, edges=edges), tmp_path / "o.fits"
    known = ("centre", "width", "lower", "upper") if edges else ("centre", "width")
    given = {which: TracePolynomial(np.arange(6.0).reshape(2, 3) + 1) for which in known}
    write_product(path, OrderTableProduct(table, given), Header())
    found = read_product(path)
    assert found.dispersion_axis == axis
    pixel = np.linspace(20, 1990, 11)
    for n, trace in table.orders.items():
        assert found.orders[n].domain == trace.domain
        for which in known:
            assert np.array_equal(found.orders[n].at(which, pixel), trace.at(which, pixel))
        assert edges or found.orders[n].lower is None
        if trace.error is None:
            assert found.orders[n].error is None
        else:
            assert np.array_equal(found.orders[n].error, trace.error)
    limits = fits.getdata(path, 2)
    assert limits["order"].tolist() == [10, 11, 12]
    assert limits[f"{axis}min"].tolist() == [15, 16, 17]
    across = "y" if axis == "x" else "x"
    ends = table.orders[10].at("lower" if edges else "centre", np.linspace(15, 2000, 200))
    assert limits[f"{across}min"][0] == pytest.approx(ends.min())
    row = fits.getdata(path, 1)[0]
    assert (row["degorder_cent"], row[f"deg{axis}_cent"], row["cent_12"]) == (1, 2, 6)
    assert row["std_00"] == 1
    assert ("edgelow_c00" in row.array.names) == ("edgeup_c12" in row.array.names) == edges


def test_light_by_which_edges_were_found(tmp_path):
    table, path = an_order_table(), tmp_path / "o.fits"
    light = {10: (50.0, 20.0, 100.0), 11: (5.0, 2.0, 10.0)}
    write_product(path, OrderTableProduct(table, {}, light), Header())
    limits = Table.read(path, hdu=2)
    assert limits.colnames[-3:] == ["maxThreshold", "minThreshold", "maxvalue"]
    assert limits["maxThreshold"].unit == "count"
    assert limits["minThreshold"][:2].tolist() == [20.0, 2.0]
    assert limits["maxvalue"].mask.tolist() == [False, False, True]


def test_pixel_map(tmp_path, rng):
    order = np.zeros(SHAPE, dtype="i2")
    order[3:6] = 11
    wavelength = np.where(order > 0, rng.uniform(800, 900, SHAPE), 0.0)
    pixel_map = PixelMap(wavelength, rng.normal(size=SHAPE), order, {11: (801.25, 899.5)})
    write_product(tmp_path / "m.fits", pixel_map, Header())
    found = read_product(tmp_path / "m.fits")
    assert np.array_equal(found.wavelength, wavelength)
    assert np.array_equal(found.slit, pixel_map.slit.astype("f4"))
    assert np.array_equal(found.order, order)
    assert found.reliable == {11: (801.25, 899.5)}
    with fits.open(tmp_path / "m.fits") as hdus:
        assert [h.name for h in hdus][:3] == ["WAVELENGTH", "SLIT", "ORDER"]
        assert [h.header.get("BUNIT") for h in hdus][:2] == ["nm", "arcsec"]


def test_error_and_quality_of_a_pixel_map(tmp_path, rng):
    order = np.full(SHAPE, 11, dtype="i2")
    error = rng.uniform(1e-4, 1e-3, SHAPE).astype("f4")
    quality = rng.integers(0, 8, SHAPE).astype("u1")
    new = PixelMap(rng.uniform(800, 900, SHAPE), order, order, {}, error, quality)
    old = PixelMap(new.wavelength, order, order)
    for name, given in (("new", new), ("old", old)):
        write_product(tmp_path / f"{name}.fits", given, Header())
    found = read_product(tmp_path / "new.fits")
    assert np.array_equal(found.error, error)
    assert np.array_equal(found.quality, quality)
    assert found.wavelength.dtype == "f8"
    header = fits.getheader(tmp_path / "new.fits", "QUAL")
    assert header["FLAG1"] == "BEYOND_LINES"
    assert fits.getheader(tmp_path / "new.fits", "ERROR")["BUNIT"] == "nm"
    found = read_product(tmp_path / "old.fits")
    assert found.error is found.quality is None


def test_order_spectra(tmp_path, rng):
    def one(n):
        values = {f: rng.uniform(1, 9, n) for f in OrderSpectrum.__dataclass_fields__}
        return OrderSpectrum(**values | {"flags": rng.integers(0, 2**16, n).astype("u2")})

    spectra = OrderSpectra({12: one(30), 10: one(25)})
    write_product(tmp_path / "s.fits", spectra, Header())
    found = read_product(tmp_path / "s.fits")
    for n, spectrum in spectra.orders.items():
        for name in OrderSpectrum.__dataclass_fields__:
            assert np.array_equal(getattr(found.orders[n], name), getattr(spectrum, name)), name
    table = Table.read(tmp_path / "s.fits", hdu=1)
    assert table.colnames[:8] == [
        "order",
        "xcoord_centre",
        "ycoord",
        "wavelengthMean",
        "pixelScaleNm",
        "varianceSpectrum",
        "snr",
        "extractedFluxOptimal",
    ]
    assert table.colnames[8:11] == ["extractedFluxBoxcar", "extractedFluxBoxcarRobust", "skyFlux"]
    assert table["wavelengthMean"].unit == u.nm
    assert table["varianceSpectrum"].unit == u.count**2


def a_spectrum(rng):
    n = 50
    flux = rng.normal(100, 5, n)
    flux[3] = np.nan
    flags = np.zeros(n, dtype="u2")
    flags[3] = PixelFlag.NOTHING_LEFT
    return Spectrum(500 + 0.02 * np.arange(n), flux, np.full(n, 25.0), flux / 2, flags, 0.02)


def test_merged_spectrum(tmp_path, rng):
    spectrum = a_spectrum(rng)
    write_product(tmp_path / "s.fits", spectrum, Header())
    found = read_product(tmp_path / "s.fits")
    for name in ("wavelength", "flux", "variance", "sky", "flags", "step"):
        assert np.array_equal(getattr(found, name), getattr(spectrum, name), equal_nan=True)
    data = fits.getdata(tmp_path / "s.fits", 1)
    assert data["FLUX_DENSITY_COUNTS"][0] == pytest.approx(spectrum.flux[0] / 0.02)


def test_merged_spectrum_as_text(tmp_path, rng):
    spectrum = a_spectrum(rng)
    write_product(tmp_path / "s.txt", spectrum, Header())
    lines = (tmp_path / "s.txt").read_text().splitlines()
    assert lines[0] == "WAVE FLUX_COUNTS VARIANCE SKY_COUNTS SNR FLUX_DENSITY_COUNTS"
    assert len(lines) == 51
    assert lines[2].split()[0] == "5000.20"
    assert float(lines[2].split()[1]) == pytest.approx(spectrum.flux[1], rel=1e-6)


def test_table_keeps_units_meanings_and_types(tmp_path):
    table = Table({"order": np.array([1, 2], "i2"), "x": [1.5, np.nan], "ok": [True, False]})
    table["x"].unit, table["x"].description = "pixel", "observed, 0-based"
    table["flux"] = [5.0, 6.0] * u.electron / u.nm
    table.meta["EXTNAME"] = "LINES"
    write_product(tmp_path / "t.fits", table, Header())
    found = read_product(tmp_path / "t.fits")
    assert found.colnames == table.colnames
    assert found["x"].unit == u.pixel
    assert found["flux"].unit == u.count / u.nm
    assert table["flux"].unit == u.electron / u.nm
    assert found["ok"].tolist() == [True, False]
    header = fits.getheader(tmp_path / "t.fits", "LINES")
    assert header["TCOMM2"] == "observed, 0-based"


def test_unknown_value_is_a_bug(tmp_path):
    with pytest.raises(TypeError, match="no way to write a list"):
        write_product(tmp_path / "t.fits", [1, 2], Header())
    assert not list(tmp_path.iterdir())


def test_foreign_and_damaged_products(tmp_path, rng):
    bare = tmp_path / "bare.fits"
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(bare)
    with pytest.raises(InputError, match="no product of soxspipe"):
        read_product(bare)
    whole = tmp_path / "whole.fits"
    write_product(whole, a_frame(rng), Header())
    cut = tmp_path / "cut.fits"
    cut.write_bytes(whole.read_bytes()[:-3000])
    with pytest.raises(InputError, match="truncated"):
        read_product(cut)
