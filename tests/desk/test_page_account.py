"""The page's account dialog before the real desk: by the keyboard alone, on a telephone."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
import zxingcpp
from browser_probe import PHONE, DeskPage, Visitor
from desk_rig import PASSWORD, DeskRig, add_account
from PIL import Image
from playwright.sync_api import expect

from desk.web.roles import CHIEF

pytestmark = [pytest.mark.chromium, pytest.mark.xdist_group("browser"), pytest.mark.timeout(240)]
NEW = "staple correct horse"
SWITCH_OFF = """async ([password, code]) => {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ password, code });
  return (await fetch("/api/second-factor/remove", { method: "POST", headers, body })).status;
}"""
REFUSED = re.compile(r"status of 40[13]")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[DeskRig]:
    folder = tmp_path / "desk"
    add_account(folder, "anna", CHIEF)
    add_account(folder, "berik")
    rig = DeskRig(folder, None)
    yield rig
    rig.close()


def change_password(desk: DeskPage, old: str) -> None:
    for name, text in (("old", old), ("new", NEW), ("again", NEW)):
        desk.get(f"password-{name}").focus()
        desk.page.keyboard.type(text)
    desk.page.keyboard.press("Enter")


def shown(page: DeskPage, name: str) -> str:
    return (page.get(name).text_content() or "").rpartition(" ")[2]


def switch_on(desk: DeskPage, rig: DeskRig) -> None:
    """A second factor, and the way in with it; the QR code says the same as the text."""
    desk.get("factor-password").fill(NEW)
    desk.page.keyboard.press("Enter")
    maker = pyotp.TOTP(shown(desk, "factor-secret"))
    image = desk.page.locator("img.qr").screenshot()
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(image)))
    assert pyotp.parse_uri(found.text).secret == maker.secret
    desk.get("factor-code").fill(maker.now())
    desk.page.keyboard.press("Enter")
    codes = desk.get("factor-recovery").locator("li")
    expect(codes).to_have_count(10)
    recovery = codes.all_inner_texts()
    desk.get("account-close").click()
    desk.get("logout").click()
    desk.log_in("anna", NEW)
    expect(desk.get("login-wrong")).to_contain_text("Enter the code of your second factor")
    expect(desk.get("login-code")).to_be_focused()
    desk.page.keyboard.type(recovery[0])
    desk.page.keyboard.press("Enter")
    expect(desk.get("account-open")).to_be_visible()
    desk.get("account-open").click()
    expect(desk.get("factor-on")).to_have_text("It is on. 9 recovery codes are left.")
    assert rig.log_in("anna", NEW).json["code"] == "login-code"


def test_the_account_by_keyboard_on_a_telephone(rig: DeskRig, visitor: Visitor) -> None:
    visitor.may_say = REFUSED
    rig.log_in("berik")
    desk = DeskPage(visitor.page(rig.url, PHONE))
    desk.log_in("anna", PASSWORD)
    expect(desk.get("account-open")).to_be_visible()
    desk.get("account-open").focus()
    desk.page.keyboard.press("Enter")
    expect(desk.get("account-role")).to_contain_text("anna: chief")
    expect(desk.get("session-here")).to_contain_text("this browser")
    other = desk.get("session")
    expect(other).to_contain_text("berik")
    other.locator("button").focus()
    desk.page.keyboard.press("Enter")
    expect(other).to_have_count(0)
    assert rig.get("/api/me").json["name"] is None
    change_password(desk, "wrong horse battery")
    expect(desk.get("account-wrong")).to_have_text("That is not your password.")
    for name in ("old", "new", "again"):
        desk.get(f"password-{name}").fill("")
    change_password(desk, PASSWORD)
    expect(desk.get("account-done")).to_contain_text("The password is changed")
    assert rig.log_in("anna", NEW).status == 204
    switch_on(desk, rig)
    assert desk.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing to the side"


def test_where_everybody_needs_a_second_factor_it_is_set_up_first(tmp_path: Path, visitor: Visitor) -> None:
    """Red when the page begins its feed, which is refused, or shows a dialog that leads nowhere; also when the page
    behind it says that the server is away, or that no column was ever heard: `isHalfIn` in rights.js. And where what it
    showed to somebody before stays behind the dialog: `data-half-in` in base.css."""
    visitor.may_say = REFUSED
    add_account(tmp_path / "desk", "anna", CHIEF)
    rig = DeskRig(tmp_path / "desk", None, "--second-factor", "required")
    try:
        desk = DeskPage(visitor.page(rig.url, PHONE))
        desk.get("login-name").fill("anna")
        desk.get("login-password").fill(PASSWORD)
        desk.page.keyboard.press("Enter")
        expect(desk.get("factor-required")).to_contain_text("wants a second factor of everybody")
        expect(desk.get("desk-state")).to_have_text(re.compile("^Not logged in fully"))
        expect(desk.get("banner")).to_be_hidden()
        expect(desk.page.locator("main")).to_be_hidden()
        expect(desk.page.locator("#columns-none")).to_have_text(re.compile("^Not logged in fully"))
        expect(desk.get("factor-password")).to_be_focused()
        desk.page.keyboard.type(PASSWORD)
        desk.page.keyboard.press("Enter")
        desk.get("factor-code").fill(pyotp.TOTP(shown(desk, "factor-secret")).now())
        desk.page.keyboard.press("Enter")
        expect(desk.get("factor-recovery").locator("li")).to_have_count(10)
        recovery = desk.get("factor-recovery").locator("li").all_inner_texts()
        expect(desk.get("factor-required")).to_be_hidden()
        desk.get("account-close").click()
        expect(desk.get("desk-state")).to_have_attribute("data-state", "no-broker")  # the feed says so
        assert rig.log_in("anna").json["code"] == "login-code"
        expect(desk.page.locator("main")).to_be_visible()
        assert desk.page.evaluate(SWITCH_OFF, [PASSWORD, recovery[0]]) == 204
        expect(desk.get("factor-required")).to_contain_text("wants a second factor of everybody")
        expect(desk.page.locator("main")).to_be_hidden()
    finally:
        rig.close()
