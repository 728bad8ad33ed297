"""A small spectrograph of our own: its solution, its lines, its frames."""

from dataclasses import replace

import numpy as np

from soxspipe.datamodel.arc_lines import ArcLines, LineList
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution, OrderTable, OrderTrace
from tests.maths.truth import spots

SHAPE = (150, 420)
HOLES = np.arange(-4, 5) * 1.4
SIGMA = (0.75, 0.8)
RANGES = {5: (500.0, 540.0), 6: (450.0, 490.0)}


def order_solution(number, x_terms, y_terms):
    x, y = np.zeros((4, 3)), np.zeros((4, 3))
    for terms, series in ((x_terms, x), (y_terms, y)):
        for at, value in terms.items():
            series[at] = value
    return OrderSolution(x, y, RANGES[number], (-6.0, 6.0), RANGES[number])


def truth():
    """Two curved orders along x with tilted lines, 3.5 pixels per arcsec."""
    return DispersionSolution(
        {
            5: order_solution(
                5,
                {(0, 0): 210, (1, 0): 190, (2, 0): 6, (3, 0): 0.5, (0, 1): 4, (1, 1): 0.4},
                {(0, 0): 38, (1, 0): 2, (2, 0): 5, (0, 1): 21, (1, 1): 0.3, (0, 2): 0.2},
            ),
            6: order_solution(
                6,
                {(0, 0): 208, (1, 0): 188, (2, 0): 5, (3, 0): 0.4, (0, 1): 3, (1, 1): 0.3},
                {(0, 0): 102, (1, 0): 3, (2, 0): 4, (0, 1): 22, (1, 1): 0.4, (0, 2): 0.2},
            ),
        }
    )


def line_list(n=25, seed=0, least=0.5):
    """n lines per order, at random but `least` nm (some pixels) apart."""
    rng = np.random.default_rng(seed)
    order, wavelength = [], []
    for number, (low, high) in RANGES.items():
        free = np.sort(rng.uniform(0, high - low - 1 - n * least, n))
        wavelength.append(low + 0.5 + free + least * np.arange(n))
        order.append(np.full(n, number))
    return LineList(
        np.concatenate(order),
        np.concatenate(wavelength),
        suspect=np.zeros(2 * n, dtype=bool),
        ion=np.tile(["ArI", "NeI"], n),
        strength=np.ones(2 * n),
    )


def images_of(lines: LineList, solution, holes=HOLES):
    """x, y of every line through every hole."""
    pairs = [
        solution.predict(int(n), np.full(len(holes), w), holes)
        for n, w in zip(lines.order, lines.wavelength, strict=True)
    ]
    x, y = np.transpose(pairs, (1, 0, 2)).reshape(2, -1)
    return x, y


def arc_frame(lines, solution, rng, holes=HOLES, read=5.0):
    """Electrons of an arc through the holes of the mask, with noise."""
    x, y = images_of(lines, solution, holes)
    counts = np.repeat(10 ** rng.uniform(3.3, 4.5, len(lines.order)), len(holes))
    light = spots(SHAPE, x, y, SIGMA, counts, 4.0)
    variance = light + read**2
    return Frame(light + rng.normal(0, np.sqrt(variance)), variance, np.zeros(SHAPE))


def measured(lines, solution, rng, error=0.03, holes=HOLES):
    """ArcLines as if measured on a frame, with centroid errors."""
    x, y = images_of(lines, solution, holes)
    n, m = len(lines.order), len(holes)
    one = np.ones(n * m)
    return ArcLines(
        order=np.repeat(lines.order, m),
        wavelength=np.repeat(lines.wavelength, m),
        slit_index=np.tile(np.arange(m), n),
        slit=np.tile(holes, n),
        predicted_x=x,
        predicted_y=y,
        x=x + rng.normal(0, error, n * m),
        y=y + rng.normal(0, error, n * m),
        x_error=error * one,
        y_error=error * one,
        counts=one,
        peak=one,
        background=one,
        fwhm=one,
        width=one,
        chi2=one,
        sharpness=one,
        roundness1=one,
        roundness2=one,
        npix=one,
        detected=one > 0,
        seen=one > 0,
        state=0 * one,
    )


def plus(solution, x_terms, y_terms):
    """The solution with terms added to every order."""
    orders = {}
    for number, order in solution.orders.items():
        more = {"x": order.x.copy(), "y": order.y.copy()}
        for axis, terms in (("x", x_terms), ("y", y_terms)):
            for at, value in terms.items():
                more[axis][at] += value
        orders[number] = replace(order, **more)
    return DispersionSolution(orders)


def grid(number, inside=1.0):
    """Wavelengths and slit positions all over an order."""
    low, high = RANGES[number]
    w, s = np.meshgrid(np.linspace(low + inside, high - inside, 40), np.linspace(-5.6, 5.6, 9))
    return w.ravel(), s.ravel()


def distances(one, other, inside=1.0):
    """Distance of two solutions in pixels, all over both orders."""
    apart = []
    for number in RANGES:
        at = grid(number, inside)
        (x, y), (u, v) = one.predict(number, *at), other.predict(number, *at)
        apart.append(np.hypot(x - u, y - v))
    return np.concatenate(apart)


def order_table():
    """Edges at -6 and +6 arcsec of the true solution."""
    traces = {}
    for number, part in truth().orders.items():
        w = np.linspace(*RANGES[number], 200)
        edge = {}
        for name, slit in (("lower", -6.0), ("centre", 0.0), ("upper", 6.0)):
            x, y = part.predict(w, np.full(200, slit))
            scaled = (2 * x - SHAPE[1] + 1) / (SHAPE[1] - 1)
            edge[name] = np.polynomial.chebyshev.chebfit(scaled, y, 5)
        traces[number] = OrderTrace((0.0, SHAPE[1] - 1.0), width=np.array([1.0]), **edge)
    return OrderTable(traces, "x")
