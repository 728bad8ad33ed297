"""The simulated instrument: raw nights with known truth, by a route of its own.

Nothing here is shared with the code that reduces the frames. What the two sides have in common are
declared facts of the instrument (detector windows, slits, orders), never a formula.
"""
