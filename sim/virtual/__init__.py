"""One column in a virtual world: virtual time, seeded, single-threaded, and as hostile as the street.

`World` (world.py) is the way in; everything that happens is an event on its timeline, so a quiet hour costs nothing.
"""
