"""The words of the desk's page, by language."""

from __future__ import annotations

import json
import re
from typing import Any

from desk_page_probe import STATIC

LANGUAGES = ("en", "ru", "kk")

Words = dict[str, Any]


def words(language: str) -> Words:
    found = json.loads((STATIC / "i18n" / f"{language}.json").read_text(), object_pairs_hook=no_key_twice)
    assert isinstance(found, dict)
    return found


def no_key_twice(pairs: list[tuple[str, Any]]) -> Words:
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"twice: {[key for key in keys if keys.count(key) > 1]}"
    return dict(pairs)


def placeholders(text: str | Words) -> set[str]:
    forms = [text] if isinstance(text, str) else list(text.values())
    return {name for form in forms for name in re.findall(r"\{(\w+)\}", form)}
