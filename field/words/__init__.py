"""What is said to people, in their language. The texts are data: en.json, ru.json, kk.json, with the same keys.

    raise Trouble("file.missing", name=file)        # what happened, and what to do next
    print(words.told(trouble))                      # in the language of `words`

Everything that a technician reads goes through `Words`, so that nothing stays in one language; what a column says of
itself in English is turned too (`said.` in the tables).
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from common.arguments import Parser, add_language
from common.sentences import COMMON, Sentences, language_of, texts
from common.sentences import LANGUAGES as LANGUAGES
from common.sentences import choose as choose
from common.typed import as_typed

FOLDER = Path(__file__).parent
_SAID = "said."  # keys of what columns say by themselves
SENTENCES = FOLDER / "sentences"  # those that tools and the firmware's validator say in English
# MicroPython where it has no words: (-29312, 'MBEDTLS_ERR_SSL_CONN_EOF'), a bare -29312, [Errno 104] ECONNRESET.
_TLS_NUMBER = re.compile(r"\(-(\d{4,5}), '[^']*'\)|(?<![\w.:-])-(\d{4,5})(?!\w)")
_ERRNO = re.compile(r"\[Errno \d+\] ([A-Z]+)")
# ESP-IDF's numbers (newlib), of which MicroPython knows no names.
_NAMELESS = {"113": "ECONNABORTED", "116": "ETIMEDOUT", "118": "EHOSTUNREACH", "128": "ENOTCONN"}


class Trouble(Exception):
    """Something went wrong: `key` of the text that says what, and what to do next; `values` fill it. As a string it is
    in English; values may be troubles themselves."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = values

    def __str__(self) -> str:
        return self.told(Words("en"))

    def told(self, words: Words) -> str:
        return words(self.key, **self.values)


class PortTrouble(Trouble):
    """One with a serial port, or with what is behind it; `what` leaves the port out."""

    def __init__(self, port: str, key: str, **values: object) -> None:
        super().__init__(key, port=port, **values)
        self.port = port

    def told(self, words: Words) -> str:
        return f"{self.port}: {self.what(words)}"

    def what(self, words: Words) -> str:
        return super().told(words)


class English(str):
    """A value that is a text in English: it is turned as it is shown."""


def listed(lines: Iterable[object]) -> str:
    """What stands behind a colon: one alone in the same line, several one below the other, all alike. Each is a
    sentence of its own for `Words.said`."""
    found = [*map(str, lines)]
    return "".join(f"\n  {line}" for line in found) if len(found) > 1 else "".join(found)


class Words:
    """Texts of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = load(language)
        self._sentences = sentences(language)

    def __call__(self, key: str, **values: object) -> str:
        text = self._texts[key].format(**{name: self._shown(value) for name, value in values.items()})
        return as_typed(text.replace(": \n", ":\n"))  # where a list follows: see `listed`

    def fault(self, ident: str) -> str:
        """A fault of a column: what is wrong, and by what name documents and messages know it; a name of a newer
        firmware alone."""
        what = self._texts.get(f"fault.{ident}")
        return ident if what is None else f"{what} ({ident})"

    def _shown(self, value: object) -> object:
        if isinstance(value, Trouble):
            return value.told(self)
        if isinstance(value, English | Exception):  # a library's exception is English too
            return self.said(str(value))
        return "-" if value is None else value

    def said(self, text: str) -> str:
        """What a column says of itself, in English or in numbers, and what a tool says in whole sentences: as far as
        it is known, in this language."""
        text = self._numbers(text)
        if self.language == LANGUAGES[0]:
            return as_typed(text)
        text = self._sentences.said(text)
        for pattern, key in _sayings():
            text = pattern.sub(lambda found, key=key: self._turned(key, found.groupdict()), text)  # type: ignore[misc]
        return text

    def _numbers(self, text: str) -> str:
        """What is said in numbers alone, in words."""
        text = _TLS_NUMBER.sub(self._tls, text)
        text = _ERRNO.sub(lambda found: self._errno(found[1], found[0]), text)
        return self._errno(_NAMELESS[text], text) if text in _NAMELESS else text

    def _tls(self, found: re.Match[str]) -> str:
        number = int(found[1] or found[2])
        return self._texts.get(f"mbedtls.{number:04x}") or self("mbedtls.unknown", number=-number)

    def _errno(self, name: str, otherwise: str) -> str:
        return self._texts.get(f"errno.{name.lower()}", otherwise)

    def _turned(self, key: str, values: Mapping[str, str]) -> str:
        return self(key, **{name: self.said(value) for name, value in values.items()})


def load(language: str) -> Mapping[str, str]:
    return texts(FOLDER, language)


@cache
def sentences(language: str) -> Sentences:
    """Those of the tools, and those that every program on a host says."""
    return Sentences(language, COMMON, SENTENCES)


@cache
def _sayings() -> list[tuple[re.Pattern[str], str]]:
    """What columns say, longest first, so that no shorter saying is taken out of a longer one."""
    known = {key: text for key, text in load(LANGUAGES[0]).items() if key.startswith(_SAID)}
    return [(_pattern(known[key]), key) for key in sorted(known, key=lambda key: -len(known[key]))]


def _pattern(text: str) -> re.Pattern[str]:
    """Finds a saying anywhere; a single word only where it is all that is said: it may be part of a name."""
    if " " not in text:
        return re.compile(rf"\A{re.escape(text)}\Z")
    parts = re.split(r"\{(\w+)\}", text)
    literal = [re.escape(part) if at % 2 == 0 else rf"(?P<{part}>[^\s,;:]+)" for at, part in enumerate(parts)]
    return re.compile(r"(?<![\w-])" + "".join(literal) + r"(?![\w-])")


def asked_for(argv: Sequence[str] | None, environment: Mapping[str, str]) -> Words:
    """The words that a command line or the environment asks for, whatever else it says."""
    return Words(language_of(sys.argv[1:] if argv is None else argv, environment))


def tool_parser(words: Words, prog: str, doc: str | None) -> Parser:
    """Of a tool whose module's text is its help, turned as a whole."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = Parser(sentences(words.language), prog, inspect.cleandoc(doc or ""), formatter_class=layout)
    add_language(parser)
    return parser
