"""`make help`: the targets of the Makefile, in the language of whoever asks. Needs nothing but Python itself.

    python tools/targets.py MAKEFILE [--lang en|ru|kk]

The English stands in the Makefile, behind each target; targets.ru.json and targets.kk.json turn it.
"""

import json
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # run as a file, before anything is installed

from common.sentences import LANGUAGES, any_letters, language_of  # noqa: E402

TARGET = re.compile(r"^([a-z-]+):.*?## (.*)$", re.M)
WIDTH = 9


def targets(makefile: str) -> dict[str, str]:
    return dict(TARGET.findall(makefile))


def table(language: str) -> dict[str, str]:
    """English text -> the same in that language."""
    if language == LANGUAGES[0]:
        return {}
    return dict(json.loads((HERE / f"targets.{language}.json").read_text("utf-8")))


def lines(makefile: str, language: str) -> list[str]:
    turned = table(language)
    return [f"  make {name:{WIDTH}} {turned.get(text, text)}" for name, text in targets(makefile).items()]


def main(argv: list[str]) -> int:
    any_letters()
    try:
        print(*lines(Path(argv[0]).read_text("utf-8"), language_of(argv[1:], os.environ)), sep="\n", flush=True)
    except BrokenPipeError:  # whoever read it, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
