"""What an officer is told, in three languages. It is read on a telephone, at night."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Words(NamedTuple):
    """`text` is filled with the fields of a call and `at`, the time of the press at the desk's place."""

    subject: str
    text: str
    repeated: str


LANGUAGES = {
    "en": Words(
        "SOS: nobody has accepted the call from {address}",
        "SOS: nobody has accepted this call for {waited_s} s.\n"
        "Place: {address}\nColumn: {device_id} ({region}, {geo})\nArrived: {at}, presses: {press}\n"
        "Call: {incident_id}, desk: {desk}\n",
        "This may be a repeat: the desk does not know whether the first message arrived.\n",
    ),
    "ru": Words(
        "SOS: вызов никто не принял – {address}",
        "SOS: вызов не принят уже {waited_s} с.\n"
        "Место: {address}\nКолонна: {device_id} ({region}, {geo})\nПоступил: {at}, нажатий: {press}\n"
        "Вызов: {incident_id}, пульт: {desk}\n",
        "Возможен повтор: пульт не знает, дошло ли первое сообщение.\n",
    ),
    "kk": Words(
        "SOS: шақыруды ешкім қабылдамады – {address}",
        "SOS: шақыру {waited_s} с бойы қабылданбай тұр.\n"
        "Орны: {address}\nБаған: {device_id} ({region}, {geo})\nТүскен уақыты: {at}, басу саны: {press}\n"
        "Шақыру: {incident_id}, пульт: {desk}\n",
        "Бұл қайталау болуы мүмкін: пульт бірінші хабардың жеткенін білмейді.\n",
    ),
}


def text(language: str, received_ms: int, *, repeated: bool, **fields: object) -> str:
    """The whole message."""
    words = LANGUAGES[language]
    at = datetime.fromtimestamp(received_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    return (words.repeated if repeated else "") + words.text.format(at=at, **fields)


def subject(language: str, address: str) -> str:
    """One line of it."""
    return LANGUAGES[language].subject.format(address=" ".join(address.split()))
