"""The way of a tone at a column: loudspeaker, air, microphone, and a street that is never quiet; and what breaks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desk.sip.g711 import RATE_HZ, ULAW

Samples = npt.NDArray[np.float64]
FAULTS = ("gum on the grille", "wet cone", "loudspeaker dead", "deaf microphone", "microphone dead",
          "half-open wire of the microphone", "half-open wire of the loudspeaker", "no packets")  # fmt: skip
EXPECTED = {
    "gum on the grille": {"speaker-weak"}, "wet cone": {"speaker-weak"}, "loudspeaker dead": {"speaker-weak"},
    "deaf microphone": {"microphone-deaf", "speaker-weak"},  # in an unusually loud street the noise does not fall
    "microphone dead": {"audio-path-broken", "microphone-deaf"},
    "half-open wire of the microphone": {"audio-path-broken"},
    "half-open wire of the loudspeaker": {"audio-path-broken"}, "no packets": {"audio-path-broken"},
}  # fmt: skip
_CODE = np.frombuffer(ULAW.encoded, np.uint8)
_VALUE = np.array(ULAW.decoded, np.float64)


@dataclass
class Column:
    """One column's own ways: how much its housing loses at each pitch, how far it is, how loud its street is."""

    loss_db: Samples
    delay_s: float
    noise_db: float

    @classmethod
    def draw(cls, dice: np.random.Generator) -> Column:
        return cls(dice.uniform(8, 24) + dice.normal(0, 3, 4), dice.uniform(0.06, 0.35), dice.uniform(-58, -46))

    def hears(self, said: Samples, dice: np.random.Generator, fault: str = "") -> tuple[Samples, float]:
        """(what comes back through G.711, the share of its packets): on one day, with that day's weather."""
        size = len(said)
        spectrum, hertz = np.fft.rfft(said), np.fft.rfftfreq(size, 1 / RATE_HZ)
        loss_db = np.interp(hertz, (0, 900, 1400, 4000), self.loss_db + dice.normal(0, 1.0)) + dice.normal(0, 0.7)
        if fault == "gum on the grille":
            loss_db = loss_db + dice.uniform(15, 35)
        elif fault == "wet cone":
            loss_db = loss_db + dice.uniform(6, 10) + np.interp(hertz, (500, 2000), (0, dice.uniform(20, 40)))
        turn = np.exp(-2j * math.pi * hertz * (self.delay_s + dice.normal(0, 0.003)))
        tone = np.fft.irfft(spectrum * 10 ** (-loss_db / 20) * turn, size)
        if fault == "loudspeaker dead":
            tone = tone * 0
        if fault == "half-open wire of the loudspeaker":
            tone = tone * _gate(size, dice)
        heard = tone + self._street(size, dice)
        if fault == "deaf microphone":
            heard = heard * 10 ** (-dice.uniform(18, 45) / 20)
        elif fault == "microphone dead":
            heard = heard * 0
        elif fault == "half-open wire of the microphone":
            heard = heard * _gate(size, dice)
        heard = heard + dice.normal(0, 10 ** (-76 / 20), size)  # of the amplifier itself
        samples = np.clip(np.round(heard * 32768), -32768, 32767).astype(np.int32)
        return _VALUE[_CODE[samples + 32768]] / 32768, 0.0 if fault == "no packets" else dice.uniform(0.97, 1.0)

    def _street(self, size: int, dice: np.random.Generator) -> Samples:
        """Pink, louder on some days, with a swell now and then: a lorry, a gust."""
        hertz = np.fft.rfftfreq(size, 1 / RATE_HZ)
        shape = 1 / np.sqrt(np.maximum(hertz, 100))
        noise = np.fft.irfft(shape * (dice.normal(size=len(hertz)) + 1j * dice.normal(size=len(hertz))), size)
        level_db = self.noise_db + dice.normal(0, 3)
        swell_db = dice.uniform(0, 8) * np.sin(math.pi * np.arange(size) / size) if dice.random() < 0.2 else 0.0
        return np.asarray(noise / np.std(noise) * 10 ** ((level_db + swell_db) / 20))


def _gate(size: int, dice: np.random.Generator) -> Samples:
    """A contact that opens and closes."""
    gate, at, closed = np.zeros(size), 0, True
    while at < size:
        length = round(dice.uniform(0.01, 0.06) * RATE_HZ)
        gate[at : at + length] = closed
        at, closed = at + length, not closed
    return gate
