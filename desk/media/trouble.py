"""Why there is no picture: a code for the page, which has the words, and a text for who reads the desk's answers."""

from __future__ import annotations

from desk.web.refusal import Refusal

# The code -> the status of the answer. The page has words for each: `way-failed.*`.
STATUS = {
    "none": 409,  # the alarm names nothing that a browser could show
    "not-allowed": 403,  # the desk may not call that address
    "no-route": 502,  # no such name, or no way there
    "refused": 502,  # somebody is there, and not a camera: the port is closed
    "unauthorized": 502,  # the camera wants a password that the desk does not have
    "not-found": 502,  # the camera knows no such stream
    "protocol": 502,  # whoever is there speaks something else
    "codec": 502,  # a picture that the browser cannot be given
    "lost": 502,  # the connection ended
    "timeout": 504,
    "late": 504,  # it shows what was some seconds ago
    "busy": 503,  # as many as the desk shows at once
    "no-gateway": 503,  # the desk's own part is missing, or has failed
}


class NoStream(Refusal):
    """One way to picture and sound that does not work. `code`: one of STATUS."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(STATUS[code], text, code=code)
