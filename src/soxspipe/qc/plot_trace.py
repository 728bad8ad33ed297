"""The object on the slit: its profile, and where it stands along each order."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from soxspipe.instrument.arms import Arm
from soxspipe.qc import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@style.drawn
def object_trace(
    profile_slit: np.ndarray,
    profile: np.ndarray,
    trace: Mapping[int, tuple[np.ndarray, np.ndarray]],
    samples: Mapping[int, tuple[np.ndarray, np.ndarray, np.ndarray]],
    arm: Arm,
    title: str,
    aperture: float | None = None,
) -> "Figure":
    """The collapsed slit profile with the object found, and its position along each order.

    Parameters
    ----------
    profile_slit, profile : (n,) arcsec, and light collapsed over wavelength.
    trace : per order, wavelength (nm) and fitted position (arcsec).
    samples : per order, wavelength (k,), measured position (k,) and its error (k,).
    aperture : half width of the extraction aperture, arcsec; not drawn if None.
    """
    figure, panels = style.page(
        style.heading(arm, f"object trace, {title}"), [(2.0, (1.0, 2.2)), (1.8, (1,))], width=11.0
    )
    (slit, deviation), (positions,) = panels
    fitted = [np.asarray(position) for _, position in trace.values()]
    centre = style.median(np.concatenate(fitted) if fitted else np.empty(0))
    slit.plot(profile_slit, profile, color=style.DARK, drawstyle="steps-mid")
    if np.isfinite(centre):
        slit.axvline(centre, color=style.RED, label=f"object at {centre:.2f} arcsec")
        if aperture is not None:
            slit.axvspan(
                centre - aperture,
                centre + aperture,
                color=style.SKY,
                alpha=0.35,
                linewidth=0,
                label=f"aperture of {2 * aperture:.2f} arcsec",
            )
        slit.legend(loc="upper left")
    else:
        style.note(slit, "no object found")
    half = 0.5 * arm.slit_length
    slit.set(xlim=(-half, half), ylim=style.robust_limits(profile, 0, 100, margin=0.1))
    slit.set_ylim(slit.get_ylim()[0], slit.get_ylim()[1] + 0.45 * np.diff(slit.get_ylim())[0])
    slit.set(xlabel="slit position [arcsec]", ylabel="light", title="profile along the slit")

    colours = style.order_colours({*trace, *samples})
    _trace_panel(positions, trace, samples, colours, arm)
    residuals = []
    for number, (wavelength, position, error) in samples.items():
        if number not in trace or len(trace[number][0]) == 0:
            continue
        at, fit = (np.asarray(z, dtype="f8") for z in trace[number])
        sort = np.argsort(at)
        off = position - np.interp(wavelength, at[sort], fit[sort])
        residuals.append(off)
        _error_bars(deviation, wavelength, off, error, colours[number])
    joined = np.concatenate(residuals) if residuals else np.empty(0)
    low, high = style.robust_limits(joined, 1, 99, margin=0.5)
    reach = max(abs(low), abs(high), 0.02)
    deviation.axhline(0.0, color=style.DARK, linewidth=0.5)
    deviation.set(ylim=(-reach, reach), xlabel="wavelength [nm]", ylabel="residual [arcsec]")
    deviation.set_title(f"measured - fitted: {style.spread_note(joined, 'arcsec')}")
    return figure


def _trace_panel(panel, trace, samples, colours, arm: Arm) -> None:  # type: ignore[no-untyped-def]
    """Positions measured and fitted against wavelength, with the labels of the orders."""
    everything = [np.asarray(position) for _, position in trace.values()]
    for number, (wavelength, position, error) in samples.items():
        _error_bars(panel, wavelength, position, error, colours[number])
        everything.append(np.asarray(position))
    for number, (wavelength, position) in trace.items():
        panel.plot(wavelength, position, color=style.DARK, linewidth=1.0)
        middle = style.median(wavelength)
        if np.isfinite(middle):
            panel.annotate(
                style.label_of(arm, number),
                (middle, 0.03),
                color=colours[number],
                size=8,
                weight="bold",
                ha="center",
                xycoords=("data", "axes fraction"),
            )
    joined = np.concatenate(everything) if everything else np.empty(0)
    low, high = style.robust_limits(joined, 1, 99, margin=0.4)
    half = max(0.5 * (high - low), 0.05)
    panel.set_ylim(0.5 * (low + high) - half, 0.5 * (low + high) + half)
    panel.set_xlabel("wavelength [nm]")
    panel.set(ylabel="slit position [arcsec]", title="trace by order: measured, and fitted (line)")


def _error_bars(
    panel: "Axes", x: np.ndarray, y: np.ndarray, error: np.ndarray, colour: object
) -> None:
    panel.errorbar(
        x,
        y,
        np.nan_to_num(np.maximum(error, 0.0)),
        fmt="o",
        color=colour,
        markersize=2.0,
        elinewidth=0.5,
        markeredgewidth=0,
    )
