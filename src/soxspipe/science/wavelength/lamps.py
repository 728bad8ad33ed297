"""Which arc lamps are on, judged by the lines that shine."""

import numpy as np

#: A lamp is off if fewer of its lines are seen than this share, while of the others more are than that.
_DARK, _BRIGHT = 0.25, 0.5
#: Lines that are needed to judge a lamp.
_LEAST = 4


def elements_of(ion: np.ndarray) -> np.ndarray:
    """Chemical element of each spectrum: `ArII` -> `Ar`; "" stays."""
    return np.array([str(name).rstrip("IV") for name in ion], dtype=str)


def dark_elements(element: np.ndarray, seen: np.ndarray) -> tuple[str, ...]:
    """Elements none or nearly none of whose lines shine though others do, in alphabetical order.

    element, seen : (n,) of lines that can be told from those of other elements, and whether each was
    found where the others say it must be. Nothing is said if most lines of all are missing.
    """
    names = [str(name) for name in np.unique(element) if name]
    share = {
        name: float(seen[element == name].mean())
        for name in names
        if np.count_nonzero(element == name) >= _LEAST
    }
    if not share or max(share.values()) < _BRIGHT:
        return ()
    return tuple(name for name in sorted(share) if share[name] < _DARK)
