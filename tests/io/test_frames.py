"""Raw frames: the right pixels in the right place, and each failure named."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from tests.raw_files import raw_header, write_raw

from soxspipe.errors import InputError
from soxspipe.instrument.arms import get_arm
from soxspipe.io.frames import read_header, read_raw, trimmed


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path / "raw.fits", level=500)


def test_window_and_margins(raw):
    frame = read_raw(raw)
    assert frame.data.shape == frame.info.get_arm().shape == (2048, 404)
    assert frame.data.dtype == np.float32
    assert np.all(frame.data == 500)
    assert frame.margin.size == 2 * 25 * 2048
    assert np.all(frame.margin == 499)
    assert frame.header["OBJECT"] == "BIAS"
    assert len(frame.datamd5) == 32


@pytest.mark.parametrize(("arm", "shape"), [("VIS", (4096, 908)), ("NIR", (2048, 2048))])
def test_pixel_positions(arm, shape):
    """The window starts where the instrument's facts say."""
    arm = get_arm("SOXS", arm)
    y, x = np.indices(shape)
    data, _ = trimmed(x * 10_000.0 + y, arm, "test")
    assert data.shape == arm.shape
    assert data[0, 0] == arm.columns[0] * 10_000 + arm.rows[0]
    assert data[-1, -1] == (arm.columns[1] - 1) * 10_000 + arm.rows[1] - 1


@pytest.mark.parametrize("kind", ["int16", "uint16", "int32", "float32"])
def test_pixel_types(tmp_path, kind):
    image = np.full((2048, 454), 300, dtype=kind)
    if kind == "uint16":
        image[:] = 60_000
    path = tmp_path / "raw.fits"
    fits.PrimaryHDU(image, raw_header()).writeto(path)
    assert np.all(read_raw(path).data == image[0, 0])


def test_compressed(tmp_path, raw):
    packed = tmp_path / "raw.fits.gz"
    packed.write_bytes(gzip.compress(raw.read_bytes(), 1))
    assert np.array_equal(read_raw(packed).data, read_raw(raw).data)
    assert read_raw(packed).datamd5 == read_raw(raw).datamd5
    assert read_header(packed)["INSTRUME"] == "SOXS"
    tiled = tmp_path / "raw.fits.fz"
    with fits.open(raw) as hdus:
        image = fits.CompImageHDU(hdus[0].data, hdus[0].header)
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(tiled)
    assert np.array_equal(read_raw(tiled).data, read_raw(raw).data)
    assert read_header(tiled)["INSTRUME"] == "SOXS"


def test_other_extension(tmp_path):
    path = tmp_path / "raw.fits"
    image = fits.ImageHDU(np.full((2048, 454), 7, dtype="i2"))
    fits.HDUList([fits.PrimaryHDU(header=raw_header()), image]).writeto(path)
    assert np.all(read_raw(path, extension=1).data == 7)
    for extension, told in ((0, "holds no image"), (2, "has no extension 2")):
        with pytest.raises(InputError, match=f"{told}\n.*data-extension"):
            read_raw(path, extension=extension)


def damaged(tmp_path, raw, how):
    path = tmp_path / "damaged.fits"
    content = raw.read_bytes()
    if how == "folder":
        path.mkdir()
    elif how != "missing":
        contents = {
            "empty": b"",
            "text": b"This is not FITS. " * 1000,
            "no end of header": content[:1000],
            "half": content[: len(content) // 2],
            "last block": content[:-10],
            "half, compressed": gzip.compress(content)[:1000],
        }
        path = tmp_path / ("damaged.fits.gz" if "compressed" in how else "damaged.fits")
        path.write_bytes(contents[how])
    return path


@pytest.mark.parametrize("read", [read_header, read_raw])
@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("missing", "there is no such file"),
        ("folder", "is not a file"),
        ("empty", r"is empty \(0 bytes\)"),
        ("text", "is not a FITS file"),
        ("no end of header", "damaged|truncated"),
        ("half", "is truncated"),
        ("last block", "is truncated"),
        ("half, compressed", "damaged|truncated"),
    ],
)
def test_damage_is_named(tmp_path, raw, read, how, told):
    with pytest.raises(InputError, match=rf"damaged\.fits(\.gz)?: .*({told})") as caught:
        read(damaged(tmp_path, raw, how))
    assert caught.value.hint


def test_wrong_shape(tmp_path):
    path = write_raw(tmp_path / "raw.fits", shape=(2048, 400))
    with pytest.raises(InputError, match=r"400 x 2048 pixels; VIS binned 2x2 has 454 x 2048"):
        read_raw(path)


def test_header_without_data_is_fast_and_safe(raw):
    header = read_header(raw)
    assert header["ESO DET BINX"] == 2
