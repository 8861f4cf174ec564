"""Which role may do which request: this table says it, and nothing else does.

The guard holds each request against it before anything is done; a request that is not here is nobody's. The page reads
from `/api/me` what it may offer. What stands behind a path is one thing in that request that needs more than the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from desk.web.refusal import Refusal

OPERATOR, CHIEF, AUDITOR = "operator", "chief", "auditor"
ROLES = (OPERATOR, CHIEF, AUDITOR)
STRANGER = ""  # nobody is logged in

Who = frozenset[str]
ANYBODY: Who = frozenset({STRANGER, *ROLES})
MEMBERS: Who = frozenset(ROLES)
DUTY: Who = frozenset({OPERATOR, CHIEF})
CHIEFS: Who = frozenset({CHIEF})
OVERSIGHT: Who = frozenset({CHIEF, AUDITOR})

_INCIDENT, _COLUMN = "/api/incidents/{incident_id}", "/api/columns/{device_id}"
RESTART = f"POST {_COLUMN}/command restart"
RELEASE = f"POST {_INCIDENT}/hold release"
ATTEND = "GET /api/feed attend"
SEE_SESSIONS = "GET /api/sessions others"
SEE_FIGURES = "GET /api/statistics others"  # who accepted how soon, by name
END_SESSION, END_SESSIONS = "POST /api/sessions/{session}/end others", "POST /api/sessions/end others"

REQUESTS: Mapping[str, Who] = {
    # The page itself, and what the public may know.
    "GET /": ANYBODY,
    "GET /static": ANYBODY,
    "GET /enter": ANYBODY,
    "GET /healthz": ANYBODY,
    "GET /wall": ANYBODY,
    "GET /public": ANYBODY,
    "GET /public/{device_id}": ANYBODY,
    "GET /public.json": ANYBODY,
    # The person itself.
    "GET /api/me": ANYBODY,
    "POST /api/login": ANYBODY,
    "POST /api/logout": ANYBODY,
    "GET /api/sessions": MEMBERS,
    SEE_SESSIONS: OVERSIGHT,
    "POST /api/sessions/{session}/end": MEMBERS,
    "POST /api/sessions/end": MEMBERS,
    END_SESSION: CHIEFS,
    END_SESSIONS: CHIEFS,
    "POST /api/password": MEMBERS,
    "POST /api/second-factor/begin": MEMBERS,
    "POST /api/second-factor/confirm": MEMBERS,
    "POST /api/second-factor/remove": MEMBERS,
    "GET /api/accounts": OVERSIGHT,
    "POST /api/second-factor/reset": CHIEFS,
    # What is so: for everybody who is logged in.
    "GET /api/config": MEMBERS,
    "GET /api/feed": MEMBERS,
    ATTEND: DUTY,  # somebody who cannot answer is nobody at the desk
    "GET /api/columns": MEMBERS,
    f"GET {_COLUMN}/events": MEMBERS,
    f"GET {_COLUMN}/downtime": MEMBERS,
    "GET /api/incidents": MEMBERS,
    f"GET {_INCIDENT}": MEMBERS,
    f"GET {_INCIDENT}/cameras": MEMBERS,
    f"GET {_INCIDENT}/recordings": MEMBERS,
    "GET /api/recordings/{n}": MEMBERS,
    "GET /api/openings": MEMBERS,
    "GET /api/openings.csv": MEMBERS,
    "GET /api/openings.json": MEMBERS,
    "GET /api/shifts": MEMBERS,
    "GET /api/statistics": MEMBERS,
    SEE_FIGURES: OVERSIGHT,
    "GET /api/misuse.csv": MEMBERS,
    "GET /api/export.csv": MEMBERS,
    "GET /api/export.json": MEMBERS,
    "GET /api/upkeep": MEMBERS,
    "GET /api/upkeep.csv": MEMBERS,
    "GET /api/life": MEMBERS,
    "GET /api/life.csv": MEMBERS,
    "GET /api/life.svg": MEMBERS,
    # Releases.
    "GET /api/rollouts": OVERSIGHT,
    "POST /api/rollouts/start": CHIEFS,
    "POST /api/rollouts/{rollout}/pause": CHIEFS,
    "POST /api/rollouts/{rollout}/resume": CHIEFS,
    "POST /api/rollouts/{rollout}/abort": CHIEFS,
    # A call.
    f"POST {_INCIDENT}/accept": DUTY,
    f"POST {_INCIDENT}/dispatch": DUTY,
    f"POST {_INCIDENT}/close": DUTY,
    f"POST {_INCIDENT}/note": DUTY,
    f"POST {_INCIDENT}/readback": DUTY,
    f"POST {_INCIDENT}/hold": DUTY,
    RELEASE: CHIEFS,
    # Picture and sound of now: whoever looks is heard there, too.
    f"POST {_INCIDENT}/whep": DUTY,
    f"POST {_INCIDENT}/cameras/{{camera}}/whep": DUTY,
    "GET /api/whep/{call}": DUTY,  # keeps it open
    "DELETE /api/whep/{call}": DUTY,
    "POST /api/whep/{call}/copy": DUTY,
    "POST /api/whep/{call}/loudness": DUTY,
    # A column.
    f"POST {_COLUMN}/command": DUTY,
    RESTART: CHIEFS,  # it raises no alarm meanwhile
    f"POST {_COLUMN}/exercise": CHIEFS,  # unannounced
    f"POST {_COLUMN}/code": DUTY,  # for a technician who stands there; at night there is no chief
    f"POST {_COLUMN}/correct": DUTY,
    f"POST {_COLUMN}/order": DUTY,
    "POST /api/orders/{n}/assign": DUTY,
    "POST /api/orders/{n}/finish": DUTY,
    # A shift.
    "POST /api/shifts/begin": DUTY,
    "POST /api/shifts/hand-over": DUTY,
    "POST /api/shifts/{n}/read": DUTY,
}


ENROLLING = frozenset(
    {"POST /api/second-factor/begin", "POST /api/second-factor/confirm"}
    | {request for request, who in REQUESTS.items() if who == ANYBODY}
)
"""All that somebody may do who has no second factor, where everybody must have one."""


def is_allowed(role: str, request: str) -> bool:
    """`request`: as in the table."""
    return role in REQUESTS.get(request, ())


def allowed(role: str, *, enrolling: bool = False) -> list[str]:
    """All that this role may do."""
    return [request for request, who in REQUESTS.items() if role in who and (request in ENROLLING or not enrolling)]


def name_of(request: web.Request) -> str:
    """The request as the table has it; "": there is no such path, or no such method on it."""
    resource = request.match_info.route.resource
    if resource is None:
        return ""
    return f"{'GET' if request.method == 'HEAD' else request.method} {resource.canonical}"


def check(role: str, request: str, *, enrolling: bool = False) -> None:
    """Raises Refusal."""
    if enrolling and request not in ENROLLING:
        raise Refusal(403, "this desk wants a second factor of everybody: set it up first", code="factor-first")
    if is_allowed(role, request):
        return
    if role == AUDITOR:
        raise Refusal(403, "an auditor reads everything and changes nothing", code="role-auditor")
    raise Refusal(403, "only a chief may do that", code="role-chief")
