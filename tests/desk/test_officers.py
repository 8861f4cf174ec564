"""Officers are told by real servers' rules: an HTTP server, and aiosmtpd for mail."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from duty_rig import alarm_of
from pager import Pager

from common.ports import HOST, free_port
from desk.escalation import FAILED, SENT, UNCERTAIN
from desk.ledger import Incident, Waiting
from desk.officers import Call, NotTold, make
from desk.rungs import Telling
from desk.telling import Officers, call_of
from sim.servers.authority import Authority

NOW_MS = 1_800_000_031_000
TELLING = Telling("petropavl-01-17-3", 0, "30-duty", "duty", 1, False)


def incident() -> Incident:
    alarm = alarm_of()
    made = Incident(alarm["id"], "nko", alarm["device_id"], 1_800_000_000, 1_800_000_000, alarm, press=2, actual=True)
    made.waiting = Waiting(0, 1_800_000_000_000)
    return made


def call(language: str = "ru") -> Call:
    return call_of(TELLING, incident(), "desk-1", NOW_MS, language)


# -- webhook


def test_a_webhook_gets_all_that_an_officer_must_know(pager: Pager) -> None:
    assert make("duty", {"how": "webhook", "url": pager.url, "token": "t0ken"})(call()) == "HTTP 200"
    ((path, headers, body),) = pager.posts
    assert path == "/hook?a=1" and headers["Authorization"] == "Bearer t0ken"
    assert headers["Idempotency-Key"] == body["key"] == "petropavl-01-17-3/0/30-duty"
    assert (body["address"], body["press"], body["waited_s"]) == (alarm_of()["location"]["address"], 2, 31)
    assert "не принят уже 31 с" in body["text"] and not body["repeated"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_any_other_answer_means_not_told(status: int, pager: Pager) -> None:
    pager.answer = status
    with pytest.raises(NotTold, match=f"HTTP {status}"):
        make("duty", {"how": "webhook", "url": pager.url})(call())


def test_no_connection_means_not_told_and_no_answer_means_nobody_knows(pager: Pager) -> None:
    with pytest.raises(NotTold, match="no connection"):
        make("duty", {"how": "webhook", "url": f"http://{HOST}:{free_port()}/"})(call())
    pager.answer = "hang up"
    with pytest.raises(Exception) as raised:
        make("duty", {"how": "webhook", "url": pager.url})(call())
    assert not isinstance(raised.value, NotTold) and len(pager.posts) == 1


def test_a_silent_server_holds_nobody_up_for_longer_than_said() -> None:
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        url = f"http://{HOST}:{silent.getsockname()[1]}/"
        with pytest.raises(TimeoutError):
            make("duty", {"how": "webhook", "url": url, "timeout_s": 1})(call())


# -- e-mail


class Post:
    """aiosmtpd's handler: what was delivered; `refuses`: the answer to the text."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses = ""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refuses:
            return self.refuses
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, to: str, _: Any) -> str:  # noqa: N802
        if to.startswith("nobody"):
            return "550 no such person"
        envelope.rcpt_tos.append(to)
        return "250 OK"


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"desk", b"pw")
    return AuthResult(success=good, handled=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def post(authority: Authority) -> Iterator[tuple[Post, dict[str, Any]]]:
    identity = authority.server()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity.cert, identity.key)
    handler, port = Post(), free_port()
    controller = Controller(
        handler, hostname=HOST, port=port, tls_context=context, require_starttls=True, auth_required=True,
        authenticator=authenticate,
    )  # fmt: skip
    controller.start()
    settings = {
        "how": "email", "server": HOST, "port": port, "to": "duty@example.org", "from": "desk@example.org",
        "user": "desk", "password": "pw", "ca": str(identity.ca),
    }  # fmt: skip
    yield handler, settings
    controller.stop()


def test_a_mail_says_the_same_in_a_language_and_with_a_key(post: tuple[Post, dict[str, Any]]) -> None:
    handler, settings = post
    assert make("duty", settings)(call("kk")) == "250 taken"
    (mail,) = handler.mails
    assert mail["Message-ID"] == "<petropavl-01-17-3.0.30-duty@example.org>"
    assert mail["Subject"].startswith("SOS: шақыруды ешкім қабылдамады") and mail["To"] == "duty@example.org"
    assert "31 с бойы" in mail.get_content()


def test_an_address_with_line_ends_forges_no_header(post: tuple[Post, dict[str, Any]]) -> None:
    """A column says where it stands, and a mail's subject repeats it. Red when it is not made one line: then the mail
    has one more receiver, or none gets it at all."""
    handler, settings = post
    made = incident()
    place = {**made.alarm["location"], "address": "Abay 1\r\nBcc: thief@example.org\u2028X: 1\0\x1b[2J"}
    made.alarm = {**made.alarm, "location": place}
    assert make("duty", settings)(call_of(TELLING, made, "desk-1", NOW_MS, "ru")) == "250 taken"
    (mail,) = handler.mails
    assert mail["Bcc"] is None and mail["X"] is None and "Abay 1 Bcc: thief@example.org X: 1" in mail["Subject"]


@pytest.mark.parametrize(
    ("change", "refuses", "why"),
    [
        ({"password": "wrong"}, "", "535|Authentication"),
        ({"to": "nobody@example.org"}, "", "550"),
        ({}, "451 later", "451"),
        ({"tls": "none", "user": None, "password": None}, "", "530|STARTTLS"),
        ({"ca": None}, "", "certificate verify failed"),
    ],
)
def test_what_the_server_does_not_take_was_not_told(
    change: dict[str, Any], refuses: str, why: str, post: tuple[Post, dict[str, Any]]
) -> None:
    handler, settings = post
    handler.refuses = refuses
    given = {key: value for key, value in {**settings, **change}.items() if value is not None}
    with pytest.raises(NotTold, match=why):
        make("duty", given)(call())
    assert handler.mails == []


# -- in threads


def test_a_telling_ends_in_one_of_three_ways(pager: Pager) -> None:
    officers = Officers({"duty": {"how": "webhook", "url": pager.url, "language": "ru"}})
    ended: list[tuple[str, str]] = []
    for answer in (200, 500, "hang up"):
        pager.answer = answer
        officers.tell(TELLING, incident(), "desk-1", NOW_MS, lambda telling, state, why: ended.append((state, why)))
        officers.wait()
    assert [state for state, _ in ended] == [SENT, FAILED, UNCERTAIN]
    assert ended[1][1] == "HTTP 500"


def test_a_telling_that_is_tried_again_and_fails_alike_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A server that does not exist had three equal lines. Red without `_is_new`, or where it forgets the call."""
    officers = Officers({"duty": {"how": "webhook", "url": f"http://{HOST}:{free_port()}/"}})
    ended: list[str] = []
    for telling in (TELLING, TELLING, TELLING, TELLING._replace(incident_id="petropavl-01-17-4")):
        officers.tell(telling, incident(), "desk-1", NOW_MS, lambda _, state, why: ended.append(state))
        officers.wait()
    assert ended == [FAILED] * 4
    assert [line.partition("/")[0] for line in caplog.messages] == ["petropavl-01-17-3", "petropavl-01-17-4"]
