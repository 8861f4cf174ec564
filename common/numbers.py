"""Numbers as people write them: with a comma, where Russian and Kazakh do, and every program here wants a point."""

import re

WITH_COMMA = re.compile(r"-?[0-9]+,[0-9]+")


def must_be(text: str, otherwise: str) -> str:
    """What goes on from "found ..., must be": the same number with a point, or what else would be right."""
    if WITH_COMMA.fullmatch(text.strip()):
        return f"a number with a point and not a comma: {text.strip().replace(',', '.')}"
    return otherwise
