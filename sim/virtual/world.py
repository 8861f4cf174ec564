"""The world: one column, its street, its network, its control centre. The way in for tests and scripts.

world = World(seed=1)
world.at(20_000, lambda: world.press(120))
world.run(60_000)
world.settle()          # faults stop; then every promise must have been kept
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sim.virtual import umqtt_host
from sim.virtual.board import Hardware, VirtualBoard
from sim.virtual.bootrom import run_boot
from sim.virtual.broker import Broker, BrokerFault
from sim.virtual.centre import Centre, Policy
from sim.virtual.checks.invariants import Invariants
from sim.virtual.configuration import (
    BROKER,
    BROKER_NAME,
    BROKER_PORT,
    CAMERA,
    CAMERA_NAME,
    CAMERA_PORTS,
    DEFAULT_CONFIG,
    TIME,
    TIME_NAME,
    TIME_PORT,
)
from sim.virtual.costs import Costs
from sim.virtual.endings import ChipReset, Pause, PowerCut
from sim.virtual.flash import FlashStore, VirtualFlash
from sim.virtual.network import Network
from sim.virtual.network_faults import Net
from sim.virtual.servers import Camera, TimeServer
from sim.virtual.task_faults import WatchedTask
from sim.virtual.timeline import US_PER_MS, Timeline, WorldError, dice
from sim.virtual.trace import Trace

umqtt_host.install()

from firmware import column  # noqa: E402
from firmware.startup import config_files, start  # noqa: E402 - they import umqtt

TRUE_EPOCH_MS = 1_893_456_000_000  # 2030-01-01: when the world begins
SETTLE_MS = 180_000  # I2's bound: the longest back-off, a look-up that stalls, a handshake, an answer
SERVICE_MS = 30 * 60_000  # main.py's
TAP_MS = 120
BOUNCE_US = (100, 1_600)  # typical: 1.6 ms in all
BOUNCES = (0, 3)


class World:
    """Deterministic: the same seed, script and firmware give the same trace. Times are milliseconds from its start."""

    def __init__(
        self,
        seed: int,
        config: dict[str, Any] | None = None,
        costs: Costs | None = None,
        chip: str = "esp32",
        policy: Policy | None = None,
        powered: bool = True,
    ) -> None:
        self.seed = seed
        self.chip = chip
        self.timeline = Timeline()
        self.trace = Trace(self.timeline)
        self.network = Network(self.timeline, self.trace, dice(seed, "network"))
        self.flash = FlashStore(self.trace, dice(seed, "flash"))
        self.hardware = Hardware(
            self.timeline, self.trace, self.network, self.flash, costs or Costs(), dice(seed, "board")
        )
        self.broker = Broker(self.timeline, self.trace)
        self.centre = Centre(self.timeline, self.trace, self.broker, policy)
        self.camera = Camera()
        self.invariants = Invariants(seed, self.timeline, self.trace, self.flash, self.broker, self.centre)
        self.network.on_wire = self.invariants.wire
        self.network.serve(BROKER_NAME, BROKER, BROKER_PORT, self.broker)
        for port in CAMERA_PORTS:
            self.network.serve(CAMERA_NAME, CAMERA, port, self.camera)
            self.network.serve_datagrams(CAMERA_NAME, CAMERA, port, self.camera)
        self.network.serve_datagrams(TIME_NAME, TIME, TIME_PORT, TimeServer(self.network, self.true_epoch_ms))
        self.boots: list[str] = []  # the cause of each boot
        self.powered = powered
        self.board: VirtualBoard | None = None
        self.column: Any = None
        self.boot: dict[str, Any] | None = None  # what boot.py found out
        self._next_cause = "power-on"
        self._living = False  # the firmware is on the call stack
        self._dice = dice(seed, "street")
        self.configure(DEFAULT_CONFIG if config is None else config)

    def configure(self, document: dict[str, Any]) -> None:
        """Put a configuration document on flash, in its two files, as provisioning does; read at the next boot."""
        document = dict(document)
        secrets = document.pop("secrets", {})
        self._provisioned = {
            config_files.SECRETS_FILE: json.dumps(secrets).encode(),
            config_files.CONFIG_FILE: json.dumps(document).encode(),
        }
        self.flash.files.update(self._provisioned)

    # -- time

    @property
    def now_ms(self) -> float:
        return self.timeline.now_us / US_PER_MS

    def true_epoch_ms(self) -> int:
        """Unix milliseconds, as the time server has them."""
        return TRUE_EPOCH_MS + self.timeline.now_us // US_PER_MS

    def at(self, t_ms: float, action: Callable[[], Any]) -> None:
        """Run `action` at `t_ms`; what it raises comes out of `run`."""

        def act() -> None:
            action()

        self.timeline.at(int(t_ms * US_PER_MS), act)

    def run(self, for_ms: float) -> None:
        """Pass so much time (a little more when the column is busy at the end). Raises what an action raised."""
        end_us = self.timeline.now_us + int(for_ms * US_PER_MS)
        self.hardware.pause_us = end_us
        try:
            while self.timeline.now_us < end_us:
                if not self.powered:
                    self.timeline.advance_to(end_us, lambda: self.powered)
                elif self._live():
                    break
        except WorldError as error:
            raise error.__cause__ or error from error

    def settle(self, for_ms: float = SETTLE_MS) -> None:
        """Stop every fault, let the column catch up, and check all that was promised."""
        self.calm()
        self.run(for_ms)
        self.invariants.finish()
        self.check()

    def calm(self) -> None:
        """Every fault stops and the power is on."""
        self.network.stop_all()
        self.broker.stop_all()
        for fault in list(self.flash.faults):
            self.flash.stop(fault)
        self.hardware.sabotage.stop_all()
        self.hardware.start_faults.stop_all()
        self.flash.on_write = None
        self._repair_configuration()
        self.power_on()

    def _repair_configuration(self) -> None:
        """A technician copies damaged files again, and restarts a column that found none it could use."""
        files = self.flash.files
        damaged = [name for name, data in self._provisioned.items() if files.get(name) != data]
        files.update(self._provisioned)
        if damaged and self.column is None:
            self.power_off()

    def check(self) -> None:
        """Raise Violation when an invariant, the protocol or the contract was broken."""
        complaints = [f"broker: {text}" for text in self.broker.violations]
        complaints += [f"contract: {text}" for text in self.centre.violations]
        for text in complaints:
            if text not in self.invariants.violations:
                self.invariants.violations.append(text)
        self.invariants.check()

    # -- the street

    def press(self, for_ms: float = TAP_MS) -> None:
        """A finger closes the contact, with the bounce of a typical switch, for `for_ms` after the bounce."""
        edges, offset_us = self._bounce()
        self.wave([*edges, (offset_us + int(for_ms * US_PER_MS), 0)])

    def hold(self) -> None:
        self.wave(self._bounce()[0])

    def release(self) -> None:
        self.wave([(0, 0)])

    def wave(self, edges: list[tuple[int, int]]) -> None:
        """Any waveform: (microseconds from now, 1 = closed). Replaces what the contact was going to do."""
        now_us = self.timeline.now_us
        absolute = [(now_us + offset_us, level) for offset_us, level in edges]
        self.trace.add("contact", *edges)
        self.invariants.presses.contact_changed(absolute)
        self.hardware.contact.replace_from(now_us, absolute)
        self.hardware.contact_version += 1

    def _bounce(self) -> tuple[list[tuple[int, int]], int]:
        """Edges of a closing contact, and the offset of the last."""
        edges, offset_us = [(0, 1)], 0
        for _ in range(self._dice.randint(*BOUNCES)):
            for level in (0, 1):
                offset_us += self._dice.randint(*BOUNCE_US) // 2
                edges.append((offset_us, level))
        return edges, offset_us

    def power_off(self) -> None:
        """Cut the power, whatever the column is doing."""
        if not self.powered:
            return
        self.powered = False
        self.trace.add("power", "off")
        if self._living:
            raise PowerCut
        if self.board is not None:
            self._power_gone()

    def power_on(self) -> None:
        if not self.powered:
            self.powered = True
            self.trace.add("power", "on")

    def reset(self) -> None:
        """The reset pin, or a panic: the chip starts anew, and the power stays."""
        if not self.powered:
            return
        if self._living:
            raise ChipReset("hard")
        if self.board is not None:
            self._end("hard", "hard")

    def hang(self, task: str) -> None:
        """The named task hangs as soon as it runs."""
        self.hardware.hang = task

    def tamper(self, is_open: bool) -> None:
        self.hardware.tamper_open = is_open
        self.trace.add("condition", "tamper", is_open)

    def during(self, start_ms: float, for_ms: float, fault: Net | BrokerFault, value: int | None = None) -> None:
        """A fault of the network or the broker from `start_ms` on, for `for_ms`."""
        if isinstance(fault, Net):
            self.at(start_ms, lambda: self.network.start(fault, value))
            self.at(start_ms + for_ms, lambda: self.network.stop(fault))
        else:
            self.at(start_ms, lambda: self.broker.start(fault, value))
            self.at(start_ms + for_ms, lambda: self.broker.stop(fault))

    # -- the chip's lives

    def _live(self) -> bool:
        """Boot, or go on after a pause. True = paused, False = this life is over."""
        self._living = True
        try:
            if self.board is None:
                self._start()
            if self.column is not None:
                self.column.run()
            else:
                self._run_firmware()
            self._end("hard", "crash")  # main.py: a return is a reset
        except Pause:
            return True
        except ChipReset as reset:
            self._end(reset.cause, reset.cause)
        except PowerCut:
            self._power_gone()
        except Exception as error:
            self.trace.add("log", f"an exception left the firmware: {error!r}")
            self._end("hard", "crash")
        finally:
            self._living = False
        return False

    def _start(self) -> None:
        self.board = VirtualBoard(self.hardware, self._next_cause, self.chip)
        self.boots.append(self._next_cause)
        self.trace.add("boot", len(self.boots), self._next_cause)
        self.invariants.life_begins(self.board)
        self.board.spend(self.hardware.costs.boot_us)
        self._watch_wrap(self.board)
        flash = VirtualFlash(self.flash, self.board.spend, self.hardware.costs)
        self.boot = run_boot(flash, self.flash)["boot"]

    def _watch_wrap(self, board: VirtualBoard) -> None:
        def wrapped() -> None:
            if self.board is board:
                self.trace.took_effect("ticks-wrap")

        self.timeline.at(board.wrap_us(), wrapped)

    def _run_firmware(self) -> None:
        assert self.board is not None and self.boot is not None
        if self.boot["mode"] == "service":
            self._sit_at_the_prompt(self.board)
        with self._caught_column():
            start.run(self.board, self.boot)

    def _sit_at_the_prompt(self, board: VirtualBoard) -> None:
        """Until the pause, or until the watchdog that main.py leaves behind ends it."""
        assert self.hardware.pause_us is not None
        if board.watchdog_us is None:
            board.watchdog(SERVICE_MS)
        board.spend(self.hardware.pause_us - self.timeline.now_us)
        raise Pause

    @contextmanager
    def _caught_column(self) -> Iterator[None]:
        """Keep the column that the firmware makes, so that `run` can go on with it after a pause."""
        original = column.Column

        def make(*arguments: Any) -> Any:
            assert self.board is not None
            self.board.on_duty = True
            self.column = original(*arguments)
            self._watch(self.column.supervisor)
            return self.column

        vars(column)["Column"] = make
        try:
            yield
        finally:
            vars(column)["Column"] = original

    def _watch(self, supervisor: Any) -> None:
        sabotage = self.hardware.sabotage
        for entry in supervisor._entries:
            entry.task = WatchedTask(entry.task, sabotage)
        supervisor._button = WatchedTask(supervisor._button, sabotage)

    def _end(self, cause: str, why: str) -> None:
        """This life is over; the next one begins with `cause`."""
        self.trace.add("reset", why)
        self.invariants.life_ends(why)
        self.hardware.clock.reset()
        self._forget(cause)

    def _power_gone(self) -> None:
        self.invariants.life_ends("power-cut")
        self.hardware.scratch = b""
        self.hardware.clock.power_on()
        self._forget("power-on")

    def _forget(self, next_cause: str) -> None:
        self._next_cause = next_cause
        self.network.board_died()
        self.trace.add("lamp", 0, 0, 0)
        self.trace.add("relay", False)
        self.board = self.column = self.boot = None
