"""How loud an officer is said at a place: a gain in steps, and a limiter, so that nothing is clipped."""

from __future__ import annotations

import numpy as np

CEILING = 32_000  # of a sample: the most that G.711's mu-law can say is a little more
RISE = 10 ** (1 / 20)  # of the gain in a block, after a loud word: 1 dB


class Loudness:
    """Of one intercom, or one camera's loudspeaker. `db`: what somebody wants."""

    def __init__(self) -> None:
        self.db = 0
        self._gain = 1.0

    def __call__(self, block: bytes) -> bytes:
        """The next samples, so loud; less where they would not fit."""
        wanted, before = 10 ** (self.db / 20), self._gain
        if wanted == before == 1.0:
            return block
        samples = np.frombuffer(block, np.int16).astype(np.float64)
        fits = CEILING / max(1.0, float(np.max(np.abs(samples), initial=0.0)))
        self._gain = now = min(wanted, fits, before * RISE) if wanted > before else min(wanted, fits)
        # Down at once, for the loud word is here; up without a step that would be heard.
        gains = np.linspace(min(before, now), now, len(samples))
        return (samples * gains).astype(np.int16).tobytes()
