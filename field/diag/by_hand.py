"""The lamp and the button: what only a person at the column can see and do. Asked on a terminal only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from field.console import Console, Line, Refused
from field.diag.board_checks import SoFar
from field.diag.finding import Finding, Untold, fails, passes, untested, warns
from field.diag.interview import Answer, Column, Lamp, untold
from field.diag.waveform import picture
from field.diag.words import Words

BOUNCES_MANY = 20  # a press: a new contact bounces a few times
YES, NO, AGAIN = "yes", "no", "again"
_LATIN = {YES: "y", NO: "n", AGAIN: "r"}  # understood in every language: not every keyboard has the other letters


class Person:
    """Whoever sits at the terminal. `ask(prompt)` returns what was typed, and raises EOFError at the end of input."""

    def __init__(self, words: Words, ask: Callable[[str], str], show: Callable[[str], None]) -> None:
        self.words = words
        self.show = show
        self._ask = ask

    def choose(self, question: str, *choices: str) -> str:
        """One of YES, NO, AGAIN; an empty line is NO."""
        accepted = {choice: (self.words(f"answer.{choice}"), self.words(f"choice.{choice}")) for choice in choices}
        offer = " / ".join(f"{letter} = {word}" for letter, word in accepted.values())
        while True:
            typed = self._ask(f"{question} [{offer}] ").strip().lower()
            if not typed:
                return NO
            for choice, texts in accepted.items():
                if typed in (*texts, _LATIN[choice]):
                    return choice


def try_lamp(console: Console, column: Column, person: Person) -> None:
    """Raises ConsoleError, EOFError."""
    lamp = None
    while lamp is None:
        person.show(person.words("lamp.watch"))
        shown: list[str] = []
        try:
            for line in console.lines("lamp", shown.clear):
                for colour in line.get("colours", []):
                    person.show("  " + person.words(f"colour.{colour}"))
                    shown.append(colour)
        except Refused as error:
            column.lamp_refusal = error.why
            return
        lamp = _seen(shown, person)
    column.lamp = lamp


def _seen(shown: list[str], person: Person) -> Lamp | None:
    """None: once more, please."""
    wrong = []
    for colour in shown:
        question = person.words("lamp.seen", colour=person.words(f"colour.{colour}"))
        answer = person.choose(question, YES, NO, AGAIN)
        if answer == AGAIN:
            return None
        if answer == NO:
            wrong.append(colour)
    return Lamp(shown, wrong)


def try_button(console: Console, column: Column, person: Person) -> None:
    """Raises ConsoleError, EOFError."""
    person.show(person.words("button.warning"))
    if person.choose(person.words("button.now"), YES, NO) != YES:
        return
    lines: list[Line] = []
    refusal = None
    try:
        for line in console.lines("button", lines.clear):
            if "lasts_ms" in line:
                person.show(person.words("button.press", seconds=line["lasts_ms"] // 1000))
            lines.append(line)
    except Refused as error:
        refusal = error.why
    column.answers["button"], column.is_button_tried = Answer(lines, refusal), True
    said = column.answers["button"].said
    for from_ms, to_ms, row in picture(said.get("samples", []), said.get("lasts_ms", 0)):
        person.show(person.words("button.samples", from_ms=f"{from_ms:5}", row=row, to_ms=to_ms))


# -- judged


def button(column: Column, _: SoFar) -> Finding:
    contact = column.status["button"]
    if contact["stuck"] or column.fault("button-stuck") is not None:
        return fails("button", "stuck")
    if not column.is_button_tried:
        if contact["closed"]:
            return warns("button", "closed")
        if column.is_locked:
            raise Untold("locked")
        return untested("button", "unasked")
    said = column.told("button").said
    if column.answers["button"].refusal is not None:
        raise untold(column.answers["button"])
    return _pressed(said)


def _pressed(said: dict[str, Any]) -> Finding:
    closures = said["closures"] if said["counts"] else sum(closed for _, closed, _ in said["samples"][1:])
    values = {"presses": said["presses"], "closures": closures, "alarm": said["alarm"] or "-"}
    if said["stuck"]:
        return fails("button", "stuck")
    if said["presses"]:
        bounces = closures - said["presses"]
        values["bounces"] = max(0, bounces)
        is_bad = bounces > BOUNCES_MANY * said["presses"]
        return warns("button", "bounces", **values) if is_bad else passes("button", "ok", **values)
    return fails("button", "short", **values) if closures else fails("button", "unfelt")


def lamp(column: Column, _: SoFar) -> Finding:
    if column.lamp_refusal is not None:
        raise untold(Answer([], column.lamp_refusal))
    if column.lamp is None:
        if column.is_locked:  # whoever looks would see nothing
            raise Untold("locked")
        return untested("lamp", "unasked")
    if not column.lamp.wrong:
        return passes("lamp", "ok", colours=column.lamp.shown)
    return fails("lamp", "dark") if column.lamp.wrong == column.lamp.shown else _wrong(column.lamp.wrong)


def _wrong(colours: list[str]) -> Finding:
    return fails("lamp", "wrong", colours=colours)


CHECKS: dict[str, Any] = {check.__name__: check for check in (lamp, button)}
