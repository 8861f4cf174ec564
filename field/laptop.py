"""The clock of the computer that makes certificates: one that stands in another year makes certificates for then, and
columns that refuse them; or numbers that are to rise, and columns that refuse all later ones."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Mapping
from pathlib import Path

from field import certificates

RELEASED = datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)  # of this tree: nobody uses it sooner
YEARS_OF_USE = 5  # later, an older tree is less likely than a wrong clock
SURE = "SOS_CLOCK_IS_RIGHT"  # the environment's name for "believe it all the same"
_SLACK = datetime.timedelta(days=1)  # time zones


class ClockError(Exception):
    """Says what is wrong with the clock, and what to do."""


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def made(years: Mapping[Path, int]) -> dict[str, datetime.datetime]:
    """When certificates of earlier runs were made: by their ends, which are so many years later."""
    found = {}
    for file, count in years.items():
        if file.exists():
            with contextlib.suppress(ValueError):  # it is made anew, or named, later
                found[str(file)] = certificates.expires(file.read_bytes()) - datetime.timedelta(days=365 * count)
    return found


def check(
    now: datetime.datetime, made: Mapping[str, datetime.datetime], environment: Mapping[str, str] = os.environ
) -> None:
    """`made`: when files that exist already were made, by name. Raises ClockError for a time that cannot be."""
    is_sure, sure = bool(environment.get(SURE)), f"if it is right all the same: {SURE}=1"
    says = f"this computer's clock says {now:%Y-%m-%d}"
    if now < RELEASED - _SLACK:
        raise ClockError(
            f"{says}, and these programs were made on {RELEASED:%Y-%m-%d}; nothing was written. Set it right"
        )
    for name, moment in () if is_sure else made.items():
        if now < moment - _SLACK:
            raise ClockError(
                f"{says}, and {name} was made on {moment:%Y-%m-%d}; nothing was written. Set the clock right; {sure}"
            )
    if not is_sure and now > RELEASED + datetime.timedelta(days=365 * YEARS_OF_USE):
        raise ClockError(
            f"{says}, more than {YEARS_OF_USE} years after these programs were made ({RELEASED:%Y-%m-%d}); nothing was"
            f" written. Set the clock right, or take newer programs; {sure}"
        )
