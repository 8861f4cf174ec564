"""One thing has one name in Russian and in Kazakh, on every screen, page and sheet.

Who reads of a squad where a work order is meant, or of two kinds of column, looks for something that is not there.
The texts come from several hands; a word that was once used beside the right one is listed here and stays away.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What people read: word files, pages, the card and the documentation.
ROOMS = ("common", "contract", "desk", "docs", "field", "firmware", "sim", "tools")
KINDS = {".json", ".html", ".js", ".md", ".py"}
# Another name for it -> the one in use.
NAMES = {
    r"\bбағана": "баған (column)",
    r"\bтақта\b": "плата (board)",
    r"\bкуәлі[кг]": "сертификат (certificate)",
    r"хабар сервер|сервер\w* сообщений": "брокер (broker)",
    r"домофон": "переговорное устройство, сөйлесу құрылғысы (intercom)",
    r"топик": "тема, тақырып (topic)",
    r"проверочн\w+ вызов": "пробный вызов (drill)",
    r"сынама шақыру|тексеру шақыру|сынақ шақыру(?!ы|лары)": "сынақ шақыруы (drill)",
    r"\bнаряды\b|\bнарядов\b|наряд на|№ наряда": "заявка (work order; наряд is the squad that is sent)",
    r"не на службе": "не дежурит (off duty)",
    r"жеке перне": "бір пернелі команда (single key)",
    r"мынадан аспайды": "ең көбі (at most)",
    r"үзілген уақыты": "бастап (since)",
    r"диск журнала|журнал дискі": "реестр, тізілім (register; журнал is the column's journal)",
    r"лент\w+ событий|оқиғалар тізбегі": "ход событий, оқиға барысы (timeline; тізбек is the chain)",
    # Kazakh endings: Russian has the same word.
    r"\bпапка[дсғлн]|\bбума(?!г)": "қалта (folder)",
    r"\bпрошивка[дсғлн]": "микробағдарлама (firmware)",
    r"есептік жазба": "тіркелгі (account)",
    r"индикатор": "лампа, шам (lamp)",
    r"\bпәрмен": "команда (command)",
    r"батырма": "түйме (button)",
    r"қосылыс": "қосылым (connection)",
    r"\bсторож(?!ев)|күзетші": "сторожевой таймер, күзет таймері (watchdog)",
    r"\bрайон|\bаудан": "регион, аймақ (region)",
    # What readers of the pages took for something else.
    r"тишина на \d|\d с тыныштық": "без звука 60 с, 60 с дыбыссыз (hushed)",
    r"неточно или неисправно": "обратите внимание (attention)",
    r'\.site": "(?:место|орны)"': "тип места, орын түрі (site; место is the address)",
    r"вызовы действуют": "вызовы проходят (calls get through)",
    r"постоянно сбоит": "постоянно перезапускается из-за сбоев (boot loop)",
    r"центр отмечает": "центр указывает (identify)",
    r"жёлтый, часто(?!е)": "жёлтый, частое мигание (yellow, fast)",
    r"шақыру жіберілді": "шақыру жіберілуде (on its way; nobody has it yet)",
    r"в каждой конфигурации|конфигурац\w+ колонны|баған\w* конфигурация": "настройки, баптаулар (configuration)",
}


def texts() -> dict[str, str]:
    paths = (path for room in ROOMS for path in (ROOT / room).rglob("*") if path.suffix in KINDS and path.is_file())
    found = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths}
    return {name: text for name, text in found.items() if re.search("[\u0400-\u04ff]", text)}


def other_names(text: str) -> list[str]:
    return [f"{found[0]}: {name}" for other, name in NAMES.items() for found in re.finditer(other, text, re.IGNORECASE)]


def test_one_thing_has_one_name() -> None:
    read = texts()
    assert {"field/words/kk.json", "desk/web/static/i18n/ru.json", "docs/pocket-card.html", "docs/kk/desk.md"} <= set(
        read
    )
    assert {name: found for name, text in read.items() if (found := other_names(text))} == {}


@pytest.mark.parametrize(
    "text",
    ["Бұл бағана істемейді", "Открытых нарядов нет", "Екі тақта", "Проверочный вызов", "Хабар сервері",
     "Соңғы сынақ шақыру", "сынақ шақырулар", "Тишина на 60 с", "60 с тыныштық", "Неточно или неисправно",
     '"register.site": "Орны"', "вызовы действуют", "постоянно сбоит", "Центр отмечает эту колонну",
     "жёлтый, часто</td>", "Шақыру жіберілді.",
     "Баған қалтасы емес, папкасы", "Бумада", "Сторож на 2 с", "Прошивкалар", "колонн района"],
)  # fmt: skip
def test_a_second_name_is_noticed(text: str) -> None:
    assert other_names(text)


@pytest.mark.parametrize(
    "text",
    ["Бұл баған істемейді", "наряд выслан", "пернетақта", "куәландырушы орталық", "Пробный вызов", "бумага",
     "жёлтый, частое мигание", '"head.place": "Орны"', "Шақыру жіберілуде",
     "сынақ шақыруы", "Сынақ шақырулары", "в папках", "о прошивках", "сторожевой таймер"],
)  # fmt: skip
def test_the_right_name_is_left_alone(text: str) -> None:
    assert other_names(text) == []
