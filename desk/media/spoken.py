"""What is spoken with a column into files: in the left ear the place, in the right what it is told.

A file of its own beside the camera's: that one is evidence as it came, and a camera that is away takes no word with it.
It can be played up to its last second even if this process is killed. After a pause there is another file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
from av import AudioFrame
from av.audio.resampler import AudioResampler

from desk.media.files import NOT_WRITTEN, NoRoom, Part, Room, create, part_of, reason
from desk.sip.g711 import RATE_HZ

ENDING = "m4a"
SOUND_HZ = 16_000
FRAME = 1024  # samples that AAC takes at once
PAUSE_S = 1.0  # without a block: the conversation is over, or this machine was held up; another file begins
WAITING_MAX = 500  # blocks: a disk that hangs for ten seconds
RETRY_S = 10.0  # when the disk is full
ROOM_EVERY_S = 1.0  # between two looks at the disk
CLOSE_S = 7.0
log = logging.getLogger(__name__)
MP4 = {"movflags": "hybrid_fragmented+default_base_moof", "frag_duration": "1000000", "flush_packets": "1"}


class Block(NamedTuple):
    """20 ms of both: what was heard, what was said. `at_s`: when."""

    at_s: float
    heard: bytes
    said: bytes


class Spoken:
    """All that is spoken with the column of one call, until `stop`. `on_part` is called in the loop with each file."""

    def __init__(
        self, incident_id: str, room: Room, threads: ThreadPoolExecutor, on_part: Callable[[Part], None]
    ) -> None:
        self._incident_id, self._room, self._on_part = incident_id, room, on_part
        self._blocks: queue.Queue[Block | None] = queue.Queue(WAITING_MAX)
        self._stopping = False
        self._file: _File | None = None
        self._again_s = 0.0
        self.trouble_code = ""
        """Why it is not kept, as desk.media.files has it; "": it is, or nobody speaks."""
        self._loop = asyncio.get_running_loop()
        self._writing = self._loop.run_in_executor(threads, self._write)

    @property
    def runs(self) -> bool:
        """Whether somebody speaks, and it is kept."""
        return self._file is not None

    def put(self, heard: bytes, said: bytes) -> None:
        """20 ms more. Waits for nobody: what a disk that hangs cannot take is missing, and another file begins."""
        try:
            self._blocks.put_nowait(Block(time.monotonic(), heard, said))
        except queue.Full:
            self.trouble_code = NOT_WRITTEN

    async def stop(self) -> None:
        """... and hashed."""
        self._stopping = True
        with contextlib.suppress(queue.Full):
            self._blocks.put_nowait(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await asyncio.shield(self._writing)

    # In a thread

    def _write(self) -> None:
        while True:
            try:
                block = self._blocks.get(timeout=PAUSE_S)
            except queue.Empty:
                block = None
            if block is None:
                self._close()
                self.trouble_code = ""
                if self._stopping:
                    return
                continue
            try:
                self._take(block)
            except (NoRoom, OSError) as error:
                self._fail(block, reason(error))
            except Exception:  # not all of av's errors are OSError, and this thread must not end
                log.exception("what is spoken cannot be written")
                self._fail(block, NOT_WRITTEN)

    def _fail(self, block: Block, code: str) -> None:
        self.trouble_code, self._again_s = code, block.at_s + RETRY_S
        self._close()

    def _take(self, block: Block) -> None:
        if self._file is not None and self._file.is_past(block.at_s):
            self._close()
        if self._file is None:
            if block.at_s < self._again_s:
                return
            self._room.check()
            self._file, self.trouble_code = _File(self._incident_id, self._room, block.at_s), ""
        self._file.put(block)

    def _close(self) -> None:
        file, self._file = self._file, None
        part = file.close() if file is not None else None
        if part is not None:
            self._loop.call_soon_threadsafe(self._on_part, part)


class _File:
    """One file while it is written. Raises NoRoom and OSError."""

    def __init__(self, incident_id: str, room: Room, began_s: float) -> None:
        self._incident_id, self._room = incident_id, room
        self._began_s, self._looked_s, self._samples = began_s, began_s, 0
        self._path, self._from_ms = create(room.folder, incident_id, began_s, ENDING)
        self._container = av.open(str(self._path), "w", format="mp4", options=dict(MP4))
        self._stream: Any = self._container.add_stream("aac", rate=SOUND_HZ, layout="stereo")
        self._resampler = AudioResampler("fltp", "stereo", SOUND_HZ, frame_size=FRAME)
        self._encoded = 0

    def is_past(self, at_s: float) -> bool:
        """Whether too much is missing between what it has and that moment."""
        return at_s - self._began_s - self._samples / RATE_HZ > PAUSE_S

    def put(self, block: Block) -> None:
        if block.at_s - self._looked_s > ROOM_EVERY_S:
            self._looked_s = block.at_s
            self._room.check()
        ears = np.stack([np.frombuffer(one, np.int16) for one in (block.heard, block.said)], axis=1)
        frame = AudioFrame.from_ndarray(ears.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = RATE_HZ
        self._samples += len(ears)
        self._mux(frame)

    def close(self) -> Part | None:
        """None: nothing came of it."""
        with contextlib.suppress(Exception):  # the disk is full: the fragments are there
            self._mux(None)
            self._container.mux(self._stream.encode(None))
        with contextlib.suppress(Exception):
            self._container.close()
        to_ms = self._from_ms + round(self._samples * 1000 / RATE_HZ)
        return part_of(self._path, self._incident_id, self._from_ms, to_ms)

    def _mux(self, frame: AudioFrame | None) -> None:
        for part in self._resampler.resample(frame):
            part.pts, part.time_base = self._encoded, Fraction(1, SOUND_HZ)
            self._encoded += part.samples
            self._container.mux(self._stream.encode(part))
