"""Whether an intercom's loudspeaker and microphone work: three short tones are said, and heard back through the air.

Pure: samples in, figures and a verdict out. A figure means something only beside the same column's earlier ones: how
much is lost between a loudspeaker and the microphone beside it differs from housing to housing.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from desk.sip.g711 import BLOCK, RATE_HZ

TONES_HZ = (700, 1100, 1700)  # where speech is, and no multiples of each other
LEVEL = 0.1  # of the full scale: -20 dB
QUIET_S, TONE_S, PAUSE_S, AFTER_S = 0.6, 0.2, 0.15, 0.7
EDGE_S = 0.02
DELAY_MAX_S = 0.6
LAG = 16  # samples between two delays that are tried
PART_S = 0.0125  # of a tone: whether it holds
DROP = 0.4  # a part is one when it has so little of what the stronger ones have
FRAME_S = 0.01  # of all: whether the sound has holes
CLEAR = 10.0  # times as strong: then it can be told whether a tone has holes
HEARD = 3.0  # times as strong as what is heard at that pitch without the tone
WEAK_DB, WEAK_BAND_DB = 10.0, 14.0  # more lost than usual, at most pitches and at one
NO_HISTORY_DB = 45.0  # lost at most, where nothing is known yet
DEAF_DB = 8.0  # less noise than usual
LOUD_DB = 10.0  # more noise than usual: then what is not heard may be drowned
HOLES_MAX, DROPS_MAX = 0.08, 0.12
HOLE = 0.1  # a frame is one when it has so little of what the others have
SILENT_DB = -71.0  # less than the least that G.711 can say: no microphone does that in a street
PACKETS_MIN = 0.8
KNOWN_MIN, KNOWN_MAX = 3, 30  # figures of good days that say what is usual
OK, UNSURE, SPEAKER, MICROPHONE, PATH = "ok", "unsure", "speaker-weak", "microphone-deaf", "audio-path-broken"
BAD = (SPEAKER, MICROPHONE, PATH)

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """`gains_db`: of each tone; None: not heard. `drops`, `holes`: how much of the tones, of all sound, is missing."""

    gains_db: tuple[float | None, ...]
    delay_ms: float
    noise_db: float
    drops: float
    holes: float
    packets: float

    @property
    def attenuation_db(self) -> float | None:
        """None: too little was heard."""
        heard = [gain for gain in self.gains_db if gain is not None]
        return -statistics.median(heard) if len(heard) >= 2 else None

    @classmethod
    def of(cls, document: dict[str, Any]) -> Figures:
        return cls(**{**document, "gains_db": tuple(document["gains_db"])})


@functools.cache
def said() -> Samples:
    """What the loudspeaker is to say, -1 to 1; silence around it, in which to listen. Whole blocks."""
    parts = [np.zeros(_samples(QUIET_S))]
    edge = np.sin(np.linspace(0, math.pi / 2, _samples(EDGE_S))) ** 2
    for hertz in TONES_HZ:
        wave = LEVEL * np.sin(2 * math.pi * hertz * np.arange(_samples(TONE_S)) / RATE_HZ)
        wave[: len(edge)] *= edge
        wave[-len(edge) :] *= edge[::-1]
        parts += [wave, np.zeros(_samples(PAUSE_S))]
    whole = np.concatenate([*parts, np.zeros(_samples(AFTER_S))])
    return np.concatenate([whole, np.zeros(-len(whole) % BLOCK)])


def measured(heard: Samples, packets: float = 1.0) -> Figures:
    """`heard`: since the first sample was said, -1 to 1; `packets`: the share of those that should have come."""
    heard = np.concatenate([heard, np.zeros(max(0, len(said()) - len(heard)))])
    lags = np.arange(0, _samples(DELAY_MAX_S), LAG)
    length = _samples(TONE_S)
    strengths, floors = [], []
    for number, hertz in enumerate(TONES_HZ):
        turned = heard * _turn(hertz, len(heard))
        sums = np.concatenate([[0], np.cumsum(turned)])
        begins = _begin(number) + lags
        strengths.append(2 * np.abs(sums[begins + length] - sums[begins]) / length)
        quiet = np.arange(0, _samples(QUIET_S) - length, LAG)
        floors.append(2 * math.sqrt(np.mean(np.abs(sums[quiet + length] - sums[quiet]) ** 2)) / length)
    lag = int(np.argmax(np.sum(np.square(strengths), axis=0)))

    def beyond(times: float) -> list[bool]:
        both = zip(strengths, floors, strict=True)
        return [bool(strength[lag] > times * max(floor, 1e-6)) for strength, floor in both]

    window = 1 - 2 * EDGE_S / TONE_S / 2  # what the edges leave of a tone's mean
    gains = tuple(
        round(20 * math.log10(strength[lag] / (LEVEL * window)), 2) if is_heard else None
        for strength, is_heard in zip(strengths, beyond(HEARD), strict=True)
    )
    quiet_rms = math.sqrt(np.mean(np.square(heard[: _samples(QUIET_S)])))
    return Figures(gains, float(lags[lag]) * 1000 / RATE_HZ, round(20 * math.log10(max(quiet_rms, 1e-5)), 2),
                   _drops(heard, int(lags[lag]), beyond(CLEAR)), _holes(heard), packets)  # fmt: skip


def verdict(found: Figures, known: Sequence[Figures]) -> str:
    """`known`: the column's figures of good days, newest last."""
    known = [figures for figures in known if figures.attenuation_db is not None][-KNOWN_MAX:]
    is_known = len(known) >= KNOWN_MIN
    usual_db = statistics.median(figures.noise_db for figures in known) if is_known else found.noise_db
    if found.packets < PACKETS_MIN or found.holes > HOLES_MAX or found.drops > DROPS_MAX:
        return PATH
    if found.attenuation_db is None:
        if found.noise_db <= SILENT_DB:
            return PATH
        if is_known and found.noise_db > usual_db + LOUD_DB:
            return UNSURE
        return MICROPHONE if found.noise_db < usual_db - DEAF_DB else SPEAKER
    more_db = [_more_db(number, gain, known) if is_known else -NO_HISTORY_DB - gain + WEAK_DB
               for number, gain in enumerate(found.gains_db) if gain is not None]  # fmt: skip
    lost_db = statistics.median(more_db)
    if lost_db <= WEAK_DB and (not is_known or max(more_db) <= WEAK_BAND_DB) and None not in found.gains_db:
        return OK
    if None in found.gains_db and lost_db <= WEAK_DB and found.noise_db > usual_db + LOUD_DB / 2:
        return UNSURE
    less_db = usual_db - found.noise_db
    return MICROPHONE if less_db >= max(DEAF_DB, lost_db / 2) else SPEAKER


def _more_db(number: int, gain: float, known: Sequence[Figures]) -> float:
    """How much more is lost at one pitch than usual."""
    before = [gains for figures in known if (gains := figures.gains_db[number]) is not None]
    return statistics.median(before) - gain if before else 0.0


@functools.cache
def _turn(hertz: int, length: int) -> npt.NDArray[np.complex128]:
    return np.exp(-2j * math.pi * hertz * np.arange(length) / RATE_HZ)


def _samples(seconds: float) -> int:
    return round(seconds * RATE_HZ)


def _begin(number: int) -> int:
    return _samples(QUIET_S) + number * (_samples(TONE_S) + _samples(PAUSE_S))


def _drops(heard: Samples, lag: int, clear: Sequence[bool]) -> float:
    """The share of the tones, of those that were heard clearly, in which there was next to nothing."""
    missing = parts = 0
    size = _samples(PART_S)
    for number, hertz in enumerate(TONES_HZ):
        if not clear[number]:
            continue
        begin = _begin(number) + lag + _samples(EDGE_S)
        tone = heard[begin : begin + _samples(TONE_S - 2 * EDGE_S)]
        tone = tone[: len(tone) // size * size]
        turned = tone * _turn(hertz, len(tone))
        strengths = np.abs(turned.reshape(-1, size).mean(axis=1))
        missing += int(np.sum(strengths < DROP * np.percentile(strengths, 80)))
        parts += len(strengths)
    return missing / parts if parts else 0.0


def _holes(heard: Samples) -> float:
    """The share of the frames before the tones in which there is next to nothing, while there is sound in the others.

    An intercom that is silent whenever nobody speaks has none.
    """
    size = _samples(FRAME_S)
    frames = heard[: _samples(QUIET_S) // size * size].reshape(-1, size)
    levels = np.sqrt(np.mean(np.square(frames - frames.mean(axis=1, keepdims=True)), axis=1))
    usual = float(np.percentile(levels, 75))
    return float(np.mean(levels < HOLE * usual)) if usual > 10 ** (SILENT_DB / 20) else 0.0
