"""What a recorded conversation sounds like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np


def ears(path: Path) -> tuple[Any, Any, int]:
    """(left, right, samples a second) of a file, as a player has them."""
    with av.open(str(path)) as film:
        frames = [frame.to_ndarray() for frame in film.decode(audio=0)]
        rate_hz = film.streams.audio[0].sample_rate
        left, right = np.concatenate(frames, axis=1)
    return left, right, rate_hz
