"""Why there is no call (any more): a code for a page, which has the words, and a text for a log."""

from __future__ import annotations

CODES = frozenset({
    "no-route",  # no way to that address
    "refused",  # nothing listens there
    "timeout",  # nobody answers a word, or no sound comes any more
    "unauthorized",  # it wants a password that the desk does not have
    "not-found",  # it knows nobody of that name
    "busy",  # it talks with somebody else
    "declined",  # it, or whoever is there, does not want to
    "no-answer",  # it rings, and nobody answers
    "codec",  # it speaks no G.711 with the desk
    "not-allowed",  # it wants the sound sent to an address that the desk may not call
    "protocol",  # whoever is there speaks something else
    "lost",  # it has hung up
    "over",  # the desk has hung up
})  # fmt: skip
# Final answers that mean something of their own.
MEANINGS = {
    401: "unauthorized", 403: "unauthorized", 404: "not-found", 407: "unauthorized", 408: "no-answer",
    410: "not-found", 415: "codec", 480: "no-answer", 484: "not-found", 486: "busy", 488: "codec", 600: "busy",
    603: "declined", 604: "not-found", 606: "codec",
}  # fmt: skip


class NoCall(Exception):
    """`code`: one of CODES."""

    def __init__(self, code: str, text: str) -> None:
        assert code in CODES, code
        super().__init__(text)
        self.code, self.text = code, text


def of_status(status: int) -> NoCall:
    """Why a call was not taken, from the number of the final answer to it."""
    code = MEANINGS.get(status, "protocol")
    if 300 <= status < 400:
        return NoCall(code, f"it sends the desk elsewhere ({status}), which the desk does not follow")
    return NoCall(code, f"it answered the call with {status}")
