"""The demonstration on a terminal: what each column shows, what the centre knows, and keys to make
trouble."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Footer, RichLog, Static

from desk.ledger import Ledger, LedgerError
from sim.demo import panels
from sim.demo.town import Post, Town
from sim.servers.broker import BrokerError

PRESS_MS = 150
REFRESH_S = 0.1
LOG_LINES = 500
PRESS = "press"


class TownApp(App[None]):
    """Shows a running town and acts on it. Whatever may block is done one after the other in a thread of its
    own."""

    TITLE = "SOS columns in Petropavlovsk"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #status { height: 1; background: $primary; color: $text; }
    #posts { height: 9; }
    Static { text-wrap: nowrap; text-overflow: ellipsis; }
    .post { width: 1fr; height: 9; border: round $primary; }
    #incidents { height: 7; border: round $primary; }
    #log { height: 1fr; min-height: 4; border: round $primary; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "post(0)", "press", key_display="1-3"),
        Binding("2", "post(1)", show=False),
        Binding("3", "post(2)", show=False),
        Binding("h", "ask('hold')", "hold"),
        Binding("p", "ask('power')", "power"),
        Binding("l", "ask('link')", "link"),
        Binding("escape", f"ask('{PRESS}')", show=False),
        Binding("b", "broker", "broker"),
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("a", "answer('accept')", "accept"),
        Binding("d", "answer('dispatch')", "dispatch"),
        Binding("c", "answer('close')", "close"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(self, town: Town) -> None:
        super().__init__()
        self._town = town
        self._hands = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hands")
        self._news = 0
        self._verb = PRESS  # what the next digit does
        self._selected: str | None = None
        self._panels: dict[str, Static] = {}
        self._shown: dict[str, Text] = {}
        self._events = RichLog(id="log", max_lines=LOG_LINES, wrap=False)

    # What is seen

    def compose(self) -> ComposeResult:
        yield self._panel("status")
        with Horizontal(id="posts"):
            for number, post in enumerate(self._town.posts, 1):
                yield self._panel(f"post-{number}", f"{number} {post.place.name}", "post")
        yield self._panel("incidents", "Incidents at the centre")
        self._events.border_title = "Events"
        self._events.can_focus = False
        yield self._events
        yield Footer(compact=True)

    def on_mount(self) -> None:
        self.set_interval(REFRESH_S, self.show_town)
        self.show_town()

    def on_unmount(self) -> None:
        self._hands.shutdown(wait=True)

    def show_town(self) -> None:
        """Bring every panel up to date."""
        self._town.centre.look(self._show_ledger)
        news, self._news = self._town.news(self._news)
        for item in news:
            self._events.write(panels.news(item))

    def _show_ledger(self, ledger: Ledger) -> None:
        """Under the centre's lock, which is cheaper than a copy ten times a second."""
        rows = panels.ranked(ledger)
        ids = [incident.id for incident in rows]
        # Without a choice of its own, the selection stays on the oldest incident that waits for somebody.
        if self._selected not in ids or not ledger.incidents[self._selected].is_open:
            self._selected = ids[0] if ids else None
        self._say("status", panels.status(self._town, ledger, self._verb))
        for number, post in enumerate(self._town.posts, 1):
            self._say(f"post-{number}", panels.post(post, ledger))
        self._say("incidents", panels.incidents(rows, self._selected))

    def _panel(self, name: str, title: str = "", classes: str = "") -> Static:
        panel = self._panels[name] = Static(id=name, classes=classes)
        panel.border_title = title
        return panel

    def _say(self, name: str, text: Text) -> None:
        """Only what is new goes to the terminal: it may be a slow line."""
        if self._shown.get(name) != text:
            self._shown[name] = text
            self._panels[name].update(text, layout=False)

    # What the keys do

    def action_ask(self, verb: str) -> None:
        """The next digit will do `verb` to a column; the same key again, or Escape, takes it back."""
        self._verb = PRESS if verb == self._verb else verb
        self.show_town()

    def action_post(self, number: int) -> None:
        """A digit: do the verb to that column."""
        verb, self._verb = self._verb, PRESS
        town, post = self._town, self._town.posts[number]
        verbs: dict[str, Callable[[Post], None]] = {
            PRESS: lambda post: town.press(post, PRESS_MS),
            "hold": lambda post: town.hold(post, closed=not post.held),
            "power": lambda post: town.power(post, on=not post.powered),
            "link": lambda post: town.link(post, up=not post.link_up),
        }
        self._do(lambda: verbs[verb](post))

    def action_broker(self) -> None:
        """Take the broker away, or bring it back."""
        town = self._town
        self._do(lambda: town.broker_away() if town.broker.running else town.broker_back())

    def action_move(self, step: int) -> None:
        """Select another incident."""
        ids = self._town.centre.look(lambda ledger: [row.id for row in panels.ranked(ledger)])
        if self._selected in ids:
            self._selected = ids[max(0, min(len(ids) - 1, ids.index(self._selected) + step))]
        self.show_town()

    def action_answer(self, what: str) -> None:
        """The operator accepts, dispatches or closes the selected incident."""
        selected = self._selected
        if selected is None:
            self._town.tell("centre", f"nothing to {what}: no incident")
            return
        self._town.tell("centre", f"{what} {selected}")
        self._do(lambda: getattr(self._town.centre, what)(selected))

    def _do(self, action: Callable[[], None]) -> None:
        """Do it in the other thread; what goes wrong becomes news."""

        def act() -> None:
            try:
                action()
            except (LedgerError, BrokerError, RuntimeError) as error:
                self._town.tell("refused", str(error))

        self._hands.submit(act)
