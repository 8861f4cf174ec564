"""kill -9 of the desk at each step of the ladder that leaves it: a mail server has the message, a telephone rings, and
somebody has answered it. What is only written (everybody rings louder, the second desk is told) and each commit between
are killed in virtual time (test_escalation.py), the pager before the operator's page (tests/browser)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from column_probe import need
from duty_rig import DeskProcess, Street, until
from pager import Pager, paging

from common.ports import HOST, free_port
from desk.register import Reading
from sim.servers.broker import Mosquitto
from sim.servers.intercom import Intercom

LADDER = """
[officer.mail]
how = "email"
server = "{host}"
port = {port}
tls = "none"
to = "duty@example.org"
from = "desk@example.org"
[officer.phone]
how = "sip"
to = "{telephone}"
ring_s = 20
[officer.pager]
how = "webhook"
url = "{url}"
[[ladder]]
steps = [
    {{after_s = 1, tell = "desks"}}, {{after_s = 2, tell = "mail"}}, {{after_s = 3, tell = "phone"}},
    {{after_s = 4, tell = "pager"}},
]
"""


class Post:
    """aiosmtpd's handler: it has the first message, and the desk dies before it hears of that."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.desk: DeskProcess | None = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(envelope.content)
        if len(self.mails) == 1:
            assert self.desk is not None
            self.desk.kill()
        return "250 taken"


@pytest.fixture
def post() -> Iterator[tuple[Post, int]]:
    handler, port = Post(), free_port()
    controller = Controller(handler, hostname=HOST, port=port)
    controller.start()
    yield handler, port
    controller.stop()


@pytest.fixture
def pager() -> Iterator[Pager]:
    with paging() as made:
        yield made


@pytest.fixture
def telephone() -> Iterator[Intercom]:
    need("baresip")
    running = Intercom("duty-officer", answers=False)
    with running:
        yield running
    running.close()


def steps(folder: Path, incident_id: str, tell: str) -> list[str]:
    """What the timeline says of that officer, by now."""
    with contextlib.closing(Reading(folder / "register.db")) as reading:
        row = reading.incident(incident_id) or {"timeline": []}
    found = [one for one in row["timeline"] if one["kind"].startswith("step-")]
    return [one["kind"] for one in found if one["detail"]["tell"] == tell]


@pytest.mark.mosquitto
@pytest.mark.baresip
def test_killed_at_each_step_that_leaves_the_desk(
    post: tuple[Post, int], pager: Pager, telephone: Intercom, broker: Mosquitto, street: Street, tmp_path: Path
) -> None:
    """Red where the ladder does not go on, where a repeat is not said to be one, where the telephone goes on ringing or
    stays open after its desk has died, and where it is rung a third time."""

    def rung(kind: str, times: int) -> bool:
        return [one["type"] for one in telephone.events].count(kind) >= times

    handler, port = post
    path = tmp_path / "ladder.toml"
    path.write_text(LADDER.format(host=HOST, port=port, telephone=telephone.address, url=pager.url))
    path.chmod(0o600)
    with DeskProcess(tmp_path, broker, ladder=path) as handler.desk:
        call = street.press()
        until(lambda: handler.mails, "mail")
        handler.desk.wait_killed()
    with DeskProcess(tmp_path, broker, ladder=path) as desk:
        until(lambda: rung("CALL_INCOMING", 1), "ringing telephone")
        for tell in ("mail", "pager"):
            until(lambda tell=tell: steps(tmp_path, call, tell)[-1:] == ["step-sent"], tell)  # type: ignore[misc]
        desk.kill()
    assert not rung("CALL_CLOSED", 1), "nobody has told the telephone"
    with DeskProcess(tmp_path, broker, ladder=path) as desk:
        until(lambda: rung("CALL_CLOSED", 1), "end of the first call")
        until(lambda: rung("CALL_INCOMING", 2), "second call")
        telephone.do("accept")
        until(lambda: rung("CALL_ESTABLISHED", 1), "answer")
        desk.kill()
    with DeskProcess(tmp_path, broker, ladder=path) as desk:
        until(lambda: rung("CALL_CLOSED", 2), "end of the second call")
        until(lambda: steps(tmp_path, call, "phone")[3:] == ["step-uncertain"], "last word of the telephone")
        desk.do("accept", call, "anna")
    assert steps(tmp_path, call, "phone") == ["step-begun", "step-uncertain"] * 2
    assert steps(tmp_path, call, "mail") == ["step-begun", "step-uncertain", "step-begun", "step-sent"]
    assert steps(tmp_path, call, "desks") == ["step-sent"] and steps(tmp_path, call, "pager")[-1] == "step-sent"
    first, second = (mail.partition(b"Message-ID:")[2].splitlines()[0] for mail in handler.mails)
    assert first == second and [body["repeated"] for _, _, body in pager.posts] == [False]
    assert not rung("CALL_INCOMING", 3)
