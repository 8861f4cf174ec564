"""What ends a life of the board, or lets the world pause: raised through the firmware from outside."""

from sim.virtual.timeline import WorldEvent


class ChipReset(WorldEvent):
    """The chip starts anew; `cause` as `Board.reset_cause` will say it: "watchdog", "soft" or "hard"."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class PowerCut(WorldEvent):
    """The supply is gone."""


class Pause(WorldEvent):
    """`World.run` has come to its end; raised inside `wait` only, from where the firmware's loop can go on."""
