"""Nobody accepts: the ladder up to the pager, as the operator's page shows it, with the desk killed at each step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_probe import Visitor
from desk_rig import Speaker, wait_for
from pager import Pager
from playwright.sync_api import expect

from sim.demo.desk_process import DeskProcess
from sim.servers.broker import Mosquitto

pytestmark = [
    pytest.mark.chromium, pytest.mark.mosquitto, pytest.mark.xdist_group("browser"), pytest.mark.timeout(240),
]  # fmt: skip
LADDER = """
[officer.duty]
how = "webhook"
url = "{url}/duty"
[officer.chief]
how = "webhook"
url = "{url}/chief"
[[ladder]]
steps = [{{after_s = 1, tell = "desks"}}, {{after_s = 2, tell = "duty"}}, {{after_s = 3, tell = "chief"}}]
"""


@pytest.fixture
def desk(broker: Mosquitto, pager: Pager, tmp_path: Path) -> Iterator[DeskProcess]:
    path = tmp_path / "ladder.toml"
    path.write_text(LADDER.format(url=pager.url.partition("/hook")[0]))
    path.chmod(0o600)
    with DeskProcess(tmp_path / "desk", broker.host, broker.port, arguments=["--ladder", str(path)]) as running:
        yield running


def test_killed_at_each_step_nobody_is_forgotten_and_nobody_is_told_twice_in_silence(
    desk: DeskProcess, broker: Mosquitto, pager: Pager, visitor: Visitor
) -> None:
    """Red where a step is taken before it is on the disk, or taken again without a word. The desk dies three times:
    when everybody was told to ring louder, while the pager holds the duty officer's message, and after the chief's."""
    visitor.servers_go_away = True
    to_kill = {"/duty"}

    def on_post(path: str) -> None:
        if path in to_kill:
            to_kill.remove(path)
            desk.kill()

    pager.on_post = on_post
    column, page = Speaker(broker), visitor.desk(desk.url)
    call = column.press()
    page.open(call)
    assert column.hears("ack", id=call, unanswered_s=1)["state"] == "received"
    desk.kill()
    desk.start()
    wait_for(lambda: not desk.running, "the desk killed while the pager has the message")
    desk.start()
    wait_for(lambda: [path for path, _, _ in pager.posts if path == "/chief"], "the chief's message")
    desk.kill()
    desk.start()
    panel = page.get("incident", id=call)
    timeline = panel.locator("[data-testid=timeline]")
    expect(page.get("strip", id=call)).to_contain_text("nobody has accepted for")
    expect(timeline).to_contain_text("duty: perhaps told, nobody can know")
    expect(timeline).to_contain_text("duty: told that nobody has accepted for 2 s")
    expect(timeline).to_contain_text("chief: told that nobody has accepted for 3 s")
    keys = [(path, headers["Idempotency-Key"]) for path, headers, _ in pager.posts]
    assert len(set(keys)) == 2 and keys.count(("/duty", f"{call}/0/2-duty")) == 2
    if keys.count(("/chief", f"{call}/0/3-chief")) != 1:
        expect(timeline).to_contain_text("chief: perhaps told")
    page.accept(call)
    assert column.hears("ack", id=call, state="accepted")["id"] == call
    column.close()
