"""amqtt in a thread of this process: a broker that needs nothing installed.

`stop()` is a broker losing its power: every connection is torn, everything it kept in memory is gone.

amqtt 0.12.1 does some things differently from other brokers. Mended here, each in one small override of
`_Amqtt`: mutual TLS is not offered; a connecting client is sent the retained messages that *other* clients
subscribed to; the keepalive is never enforced; a client that connects twice with a clean session keeps both
connections. Not mended: a message is delivered with the subscriber's QoS even if it was published with a
lower one (`on_publish` has the real one), and a PUBACK that a subscriber does not send within 5 s loses the
message.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from asyncio import StreamReader, StreamWriter
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, cast

from amqtt.adapters import ReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.broker import Broker as AmqttBroker
from amqtt.contexts import ListenerConfig
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import ApplicationMessage, Session

from sim.servers.broker.base import START_TIMEOUT_S, STOP_TIMEOUT_S, Broker, BrokerError, Tls

LOG_TAIL_LINES = 20
# MQTT gives a silent client 1.5 keepalives; amqtt can only add a constant.
KEEPALIVE_GRACE_S = 5


@dataclass(frozen=True)
class Published:
    """One PUBLISH as its sender sent it."""

    client_id: str
    topic: str
    payload: bytes
    qos: int
    retain: bool


class EmbeddedBroker(Broker):
    """amqtt on its own event loop in a daemon thread. `users`: name -> password; none given = anonymous.

    `on_publish` is called in the broker's thread with each PUBLISH that arrives: keep it short.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        tls: Tls | None = None,
        users: Mapping[str, str] | None = None,
        on_publish: Callable[[Published], None] | None = None,
    ) -> None:
        super().__init__(port=port, tls=tls, users=users)
        self._on_publish = on_publish
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._log = _LogTail()

    @property
    def running(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        if self._thread is not None:
            return
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name=f"amqtt:{self.port}", daemon=True)
        self._thread.start()
        try:
            ready.result(START_TIMEOUT_S)
        except Exception as error:
            self._thread.join(STOP_TIMEOUT_S)
            self._thread = None
            raise BrokerError(f"amqtt did not start on {self.host}:{self.port}: {error}\n{self._log.text()}") from error
        if not self.answers():
            self.stop()
            raise BrokerError(f"amqtt on {self.host}:{self.port} does not answer a CONNECT\n{self._log.text()}")

    def stop(self) -> None:
        thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            return
        loop.call_soon_threadsafe(self._stop.set)
        thread.join(STOP_TIMEOUT_S)
        if thread.is_alive():
            raise BrokerError(f"amqtt on port {self.port} did not stop in {STOP_TIMEOUT_S} s\n{self._log.text()}")
        self._thread = None

    def _run(self, ready: Future[None]) -> None:
        with self._log:
            try:
                asyncio.run(self._serve(ready))
            except Exception as error:
                if not ready.done():
                    ready.set_exception(error)

    async def _serve(self, ready: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._log.on_loop_error)
        self._stop = asyncio.Event()
        broker = _Amqtt(self._config(), self.users, self.tls, self._on_publish)
        await broker.start()
        ready.set_result(None)
        await self._stop.wait()
        broker.stop_listening()

    def _config(self) -> dict[str, Any]:
        listener: dict[str, Any] = {"type": "tcp", "bind": f"{self.host}:{self.port}"}
        if self.tls is not None:
            identity = self.tls.identity()
            files = {"cafile": self.tls.authority.ca_path, "certfile": identity.cert, "keyfile": identity.key}
            listener.update(ssl=True, **{key: str(path) for key, path in files.items()})
        return {
            "listeners": {"default": listener},
            "plugins": {},
            "timeout_disconnect_delay": KEEPALIVE_GRACE_S,
        }


class _Amqtt(AmqttBroker):
    """amqtt's broker with the defects mended that would spoil a simulation."""

    def __init__(
        self,
        config: dict[str, Any],
        users: Mapping[str, str],
        tls: Tls | None,
        on_publish: Callable[[Published], None] | None,
    ) -> None:
        super().__init__(config)
        self._users, self._tls, self._on_publish = users, tls, on_publish

    def stop_listening(self) -> None:
        """Accept no more connections. Those that there are end with the tasks that serve them."""
        for server in self._servers.values():
            cast(asyncio.Server, server.instance).close()

    async def stream_connected(self, reader: StreamReader, writer: StreamWriter, listener_name: str) -> None:
        try:
            await super().stream_connected(reader, writer, listener_name)
        finally:
            writer.transport.abort()

    def _create_ssl_context(self, listener: ListenerConfig) -> ssl.SSLContext:
        context = super()._create_ssl_context(listener)
        mutual = self._tls is not None and self._tls.mutual
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
        return context

    async def _authenticate(self, session: Session, listener: ListenerConfig) -> bool:
        if not self._users:
            return True
        return session.username in self._users and self._users[session.username] == session.password

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        handler, session = await super()._initialize_client_session(reader, writer, remote_address, remote_port)
        # amqtt notices a client that has gone silent, and does nothing about it.
        transport = cast(StreamWriterAdapter, writer)._writer.transport
        handler.handle_read_timeout = transport.abort
        return handler, session

    async def _delete_session(self, client_id: str) -> None:
        _, handler = self._sessions.get(client_id, (None, None))
        reader_task = handler and handler._reader_task
        if handler is not None and reader_task is not None and not reader_task.done():
            # The protocol wants the older connection closed; its last will goes out before the new one's
            # CONNACK.
            cast(StreamWriterAdapter, handler.writer)._writer.transport.abort()
            await handler._reader_stopped.wait()
        await super()._delete_session(client_id)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        subscribers = self._subscriptions.get(subscription[0], [])
        if any(other.client_id == session.client_id for other, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)

    async def _handle_message_delivery(
        self, client_session: Session, handler: BrokerProtocolHandler, wait_deliver: asyncio.Future[Any]
    ) -> bool:
        message: ApplicationMessage | None = wait_deliver.result()
        if self._on_publish is not None and message is not None and message.topic:
            payload, client_id = bytes(message.data or b""), str(client_session.client_id)
            packet = message.publish_packet
            retain = bool(packet is not None and packet.retain_flag)
            self._on_publish(Published(client_id, message.topic, payload, message.qos or 0, retain))
        return await super()._handle_message_delivery(client_session, handler, wait_deliver)


class _LogTail(logging.Handler):
    """Keeps amqtt's last warnings for error messages instead of printing them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[str] = deque(maxlen=LOG_TAIL_LINES)
        self._loggers = [logging.getLogger(name) for name in ("amqtt", "transitions")]

    def __enter__(self) -> None:
        for logger in self._loggers:
            logger.addHandler(self)
            logger.setLevel(logging.WARNING)
            logger.propagate = False

    def __exit__(self, *error: object) -> None:
        for logger in self._loggers:
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))

    def on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Exception handler of the event loop: a client that breaks the protocol is no news here."""
        self._lines.append(f"{context.get('message')}: {context.get('exception')!r}")

    def text(self) -> str:
        """The kept lines, oldest first."""
        return "\n".join(self._lines) or "(its log is empty)"
