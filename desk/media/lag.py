"""How far what a camera sends is behind the place.

A network that loses packets makes no holes in TCP: it makes everything late, by as much as the buffers on the way hold,
which may be half a minute; and a picture of half a minute ago looks like one of now. By the camera's own times the
desk notices it; but these may be wrong, too. So a lag is suspected here, and proven by a question: its answer has to
pass through the same queue (desk/media/relay.py).
"""

from __future__ import annotations

BEHIND_S = 4.0  # as long as a picture may stand still (source.py)
DRIFT = 5e-4  # of a camera's clock; a crystal's is a tenth of that
ANSWER_S = 2.0  # of a camera that is not behind


class Lag:
    """Of one connection. For the thread that reads it, but for `trust`."""

    def __init__(self) -> None:
        self._least: float | None = None  # how late the promptest picture was
        self._at_s = 0.0
        self.is_suspected = False

    def note(self, came_s: float, shot_s: float) -> None:
        """A picture came: by the desk's clock, and by the camera's."""
        late_s = came_s - shot_s
        if self._least is None:
            self._least = late_s
        else:
            self._least = min(late_s, self._least + DRIFT * (came_s - self._at_s))
        self._at_s = came_s
        self.is_suspected = late_s - self._least > BEHIND_S

    def trust(self) -> None:
        """It was asked, and nothing is queued: its clock is wrong, or was set. Begin anew."""
        self._least, self.is_suspected = None, False
