"""Cosmic rays of many shapes: single pixels, spots, worms, straight tracks."""

import numpy as np


def shapes(shape, rng, number):
    """(ny, nx) electrons of `number` hits of each kind."""
    image = np.zeros(shape)
    for kind in ("pixel", "worm", "track", "along x", "along y"):
        for _ in range(number if kind == "pixel" else number // 6):
            _add(image, _walk(kind, rng), rng)
    return image


def _walk(kind, rng):
    """Steps (2, n) of a quarter of a pixel."""
    steps = {"pixel": 1, "worm": int(rng.integers(20, 120))}.get(kind, int(rng.integers(12, 100)))
    start = {"along x": 0.0, "along y": np.pi / 2}.get(kind, rng.uniform(0, 2 * np.pi))
    turns = rng.normal(0, 0.18, steps) if kind == "worm" else np.zeros(steps)
    angle = start + np.cumsum(turns)
    return 0.25 * np.array([np.cumsum(np.sin(angle)), np.cumsum(np.cos(angle))])


def _add(image, walk, rng):
    ny, nx = image.shape
    charge = rng.lognormal(6.8, 0.7)
    y = np.floor(rng.uniform(0, ny) + walk[0]).astype(int)
    x = np.floor(rng.uniform(0, nx) + walk[1]).astype(int)
    inside = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
    share = rng.gamma(6.0, 1 / 6, inside.size) / min(4, inside.size)
    np.add.at(image, (y[inside], x[inside]), charge * share[inside])
