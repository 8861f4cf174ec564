"""The ROM boot loader of an ESP32, as `esp32-mock-bootloader` has it, with a flash of any size that tests look into."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from esp32_mock_bootloader import protocol, server

_PATIENCE_S = 5.0  # with esptool on a busy machine; by itself the mock gives up a read of the flash after 50 ms
_MANUFACTURER = 0x4020  # of the flash chip, as JEDEC's id has it: the third byte is the size as a power of two


class BootLoader:
    """`flash`: what is on it, to be changed and looked at; `port`: for esptool."""

    def __init__(self, flash: bytearray, port: str) -> None:
        self.flash, self.port = flash, port


@contextmanager
def boot_loader(chip: str, flash_bytes: int) -> Iterator[BootLoader]:
    """One chip, empty, that waits for esptool; one connection after another."""
    image = server.FlashImage()
    image.data = bytearray(b"\xff" * flash_bytes)
    jedec = _MANUFACTURER | (flash_bytes.bit_length() - 1) << 16
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                server.handle_client(server.BootloaderConnection(sock=connection), over, chip, None)

        with (
            mock.patch.object(protocol, "MOCK_FLASH_ID", jedec),
            mock.patch.object(protocol, "FLASH_MOCK_SIZE", flash_bytes),
            mock.patch.object(server, "_persistent_flash", image),
            mock.patch.object(server, "_CLIENT_RECV_TIMEOUT", _PATIENCE_S),
        ):
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            try:
                yield BootLoader(image.data, f"socket://127.0.0.1:{listener.getsockname()[1]}")
            finally:
                over.set()
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()
