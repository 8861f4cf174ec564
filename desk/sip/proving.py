"""Who the desk is, to whoever asks for it (RFC 3261, 22). Basic is never answered: it shows the password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sipmessage import Request, Response

from desk.media.digest import authorization

CHALLENGES_MAX = 4
HEADERS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


async def asked(
    make: Callable[[], Request], ask: Callable[[Request], Awaitable[Response]], user: str | None, password: str | None
) -> Response:
    """The final answer to a request: with the password, if it is asked for. `make`: a new one for each try."""
    shown: dict[str, str] = {}
    while True:
        request = make()
        for name, value in shown.items():
            request.headers.set(name, value)
        response = await ask(request)
        more = proven(response, request, user, password)
        if more is None or more[0] in shown:
            return response
        shown[more[0]] = more[1]


def proven(response: Response, request: Request, user: str | None, password: str | None) -> tuple[str, str] | None:
    """The header of the next try, and its value; None: nobody asks, or the desk has no answer to that."""
    if response.code not in HEADERS or user is None or password is None:
        return None
    asks, answers = HEADERS[response.code]
    digests = [one for one in response.headers.getlist(asks) if one.lower().startswith("digest ")]
    proof = authorization(digests[:CHALLENGES_MAX], request.method, str(request.uri), user, password)
    return (answers, proof) if proof is not None else None
