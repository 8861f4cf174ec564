"""Why the desk refuses something, in the reader's language: each refusal has a code that the page has words for.

NoStream, of a camera, has words of its own: test_static holds them against desk.media.trouble.STATUS.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from desk_page_probe import STATIC
from desk_words import LANGUAGES, placeholders, words

from desk.media.trouble import STATUS

DESK = STATIC.parents[1]
KINDS = ("Refusal", "LedgerError")
IS_A_PROGRAMS = "the page makes this itself: only another program can get it wrong"
WITHOUT_WORDS = {
    "refusal.py:parse_object": IS_A_PROGRAMS,
    "refusal.py:text": IS_A_PROGRAMS,  # not a string; what a person may get wrong has a code
    "refusal.py:one_of": IS_A_PROGRAMS,
    "refusal.py:flag": IS_A_PROGRAMS,
    "asking.py:wanted": IS_A_PROGRAMS,
    "asking.py:body": IS_A_PROGRAMS,
    "asking.py:_name": IS_A_PROGRAMS,
    "guard.py:_check_origin": "a browser always says Origin; what it says wrongly has a code",
    "guard.py:refusals": "of aiohttp: no such path, no such method; in a browser the status has words",
    "gateway.py:call": IS_A_PROGRAMS,
    "gateway.py:_say": IS_A_PROGRAMS,
    "watching.py:hang_up": "the page hangs up without waiting for an answer",
    "loudness.py:wanted": IS_A_PROGRAMS,
    "watching.py:be_loud": "the buttons go with the voice: only a call that has ended meanwhile meets it",
    "watching.py:copy": "the page sends copies by itself, and again when the desk asks for one",
    "server.py:_close": IS_A_PROGRAMS,  # the kind of a call that is not false
    "operators.py:_order": IS_A_PROGRAMS,
    "office.py:_check_cause": IS_A_PROGRAMS,
    "ledger.py:advance": IS_A_PROGRAMS,  # an outcome that is none; the rest has codes
}
ONLY_TERMS = {"state", "why"}
"""Values that are terms of the server: words.js has words for them."""


class Raised(NamedTuple):
    """A refusal in the source: where, its codes (several: one of them) and what it fills the words with."""

    where: str
    codes: tuple[str, ...]
    values: frozenset[str]


def refusals_in(name: str, source: str) -> Iterator[Raised]:
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    named = {function.name: function for function in functions}
    for function in functions:
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in KINDS:
                given = {keyword.arg: keyword.value for keyword in call.keywords}
                if None in given:  # passed on: checked where it was raised
                    continue
                values = frozenset(str(key) for key in given if key not in ("code", "headers"))
                yield Raised(f"{name}:{function.name}", tuple(codes_of(given.get("code"), named)), values)


def codes_of(node: ast.expr | None, functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]) -> Iterator[str]:
    """A text, or what a function of the same file returns."""
    if node is None:
        yield ""
    elif isinstance(node, ast.Constant):
        yield str(node.value)
    else:
        assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name), ast.unparse(node)
        for inner in ast.walk(functions[node.func.id]):
            if isinstance(inner, ast.Return) and inner.value is not None:
                yield from codes_of(inner.value, functions)


def untold(raised: Raised) -> Iterator[str]:
    """What a reader of some language would not understand."""
    for code, language in ((code, language) for code in raised.codes for language in LANGUAGES):
        if not code:
            if raised.where not in WITHOUT_WORDS:
                yield f"{raised.where}: no code"
            continue
        known = words(language).get(f"refusal.{code}")
        if known is None:
            yield f"{raised.where}: refusal.{code} is not in {language}.json"
        elif placeholders(known) - raised.values:
            yield f"{raised.where}: refusal.{code} wants {placeholders(known) - raised.values}"


@functools.cache
def everywhere() -> list[Raised]:
    return [one for path in sorted(DESK.rglob("*.py")) for one in refusals_in(path.name, path.read_text())]


def test_every_refusal_has_words_in_every_language() -> None:
    assert len(everywhere()) > 30
    assert [line for one in everywhere() for line in untold(one)] == []


def test_each_exception_is_one_and_has_a_reason() -> None:
    assert {one.where for one in everywhere() if "" in one.codes} == set(WITHOUT_WORDS)
    assert all(WITHOUT_WORDS.values())


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ('def f(): raise Refusal(400, "no")', "no code"),
        ('def f(): raise LedgerError("no")', "no code"),
        ('def f(): raise Refusal(400, "no", code="nobody-knows")', "not in kk.json"),
        ('def f(): raise Refusal(504, "no", code="login-wait")', "wants {'n'}"),
        (
            'def f(): raise Refusal(400, "no", code=g(1))\ndef g(n):\n  if n: return "nobody-knows"\n  return "failed"',
            "ru",
        ),
        ('async def f(): return Refusal(400, "no")', "no code"),
        ('class A:\n  def f(self): raise Refusal(400, "no")\nclass B:\n  def f(self): pass', "no code"),
    ],
)
def test_a_refusal_without_words_is_noticed(source: str, wrong: str) -> None:
    assert any(wrong in line for one in refusals_in("x.py", source) for line in untold(one))
    assert not [
        line for one in refusals_in("x.py", 'def f(): raise Refusal(400, "", code="failed")') for line in untold(one)
    ]


def test_there_are_no_words_for_what_is_never_refused() -> None:
    pages = "".join(path.read_text() for path in (STATIC / "js").glob("*.js"))
    raised = {code for one in everywhere() for code in one.codes}
    used = raised | set(re.findall(r'code: "([\w-]+)"', pages)) - set(STATUS)
    assert {key.removeprefix("refusal.") for key in words("en") if key.startswith("refusal.")} == used - {""}


def test_the_page_translates_the_terms_in_a_refusal() -> None:
    source = (STATIC / "js" / "words.js").read_text()
    terms = source.split("const TERMS = {")[1].split("};")[0]
    assert set(re.findall(r"^  (\w+):", terms, re.MULTILINE)) == ONLY_TERMS
    assert {value for one in everywhere() for value in one.values} - ONLY_TERMS == {"n", "most", "least"}
