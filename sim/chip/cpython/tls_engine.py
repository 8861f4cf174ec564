"""CPython's `ssl` with the interface of MicroPython's built-in `tls`, over a stream that gives None for "not now"."""

import ssl
import tempfile
from typing import Any

from sim.chip import time as _chip_time

PROTOCOL_TLS_CLIENT = 0
PROTOCOL_TLS_SERVER = 1
CERT_NONE = 0
CERT_OPTIONAL = 1
CERT_REQUIRED = 2

_READ_BYTES = 16384
_FATAL_ALERT = -0x7780  # MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE, for whatever OpenSSL does not like
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: by the host's clock, that is
_EPOCH_2000_S = 946_684_800
_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04


def _pem(der: bytes, label: str) -> str:
    import base64

    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n"


def _key_label(der: bytes) -> str:
    """PKCS#8, PKCS#1 or SEC1, told apart by what follows the version number."""
    if len(der) < 8 or der[0] != _SEQUENCE:
        raise ValueError("invalid key")
    at = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    if der[at] != _INTEGER:
        raise ValueError("invalid key")
    after_version = der[at + 2 + der[at + 1]]
    labels = {_SEQUENCE: "PRIVATE KEY", _INTEGER: "RSA PRIVATE KEY", _OCTETS: "EC PRIVATE KEY"}
    if after_version not in labels:
        raise ValueError("invalid key")
    return labels[after_version]


def _check_dates(certificate: dict[str, Any] | None) -> None:
    """By the chip's clock, in mbedTLS's words. Raises ValueError."""
    now_s = _EPOCH_2000_S + _chip_time.time()
    if certificate and now_s < ssl.cert_time_to_seconds(certificate["notBefore"]):
        raise ValueError("The certificate validity starts in the future")
    if certificate and now_s > ssl.cert_time_to_seconds(certificate["notAfter"]):
        raise ValueError("The certificate validity has expired")


class SSLContext:
    def __init__(self, protocol: int) -> None:
        self._server = protocol == PROTOCOL_TLS_SERVER
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if self._server else ssl.PROTOCOL_TLS_CLIENT)
        self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._context.verify_flags |= _NO_CHECK_TIME
        self.verify_mode = CERT_NONE if self._server else CERT_REQUIRED

    @property
    def verify_mode(self) -> int:
        return int(self._context.verify_mode)

    @verify_mode.setter
    def verify_mode(self, mode: int) -> None:
        self._context.check_hostname = False
        self._context.verify_mode = ssl.VerifyMode(mode)
        self._context.check_hostname = mode == CERT_REQUIRED and not self._server

    def load_cert_chain(self, cert: bytes, key: bytes) -> None:
        if cert[:1] != bytes((_SEQUENCE,)):
            raise ValueError("invalid cert")
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # ssl takes them from files only
            file.write(_pem(key, _key_label(key)) + _pem(cert, "CERTIFICATE"))
            file.flush()
            try:
                self._context.load_cert_chain(file.name)
            except ssl.SSLError as error:
                raise ValueError("invalid key" if "key" in str(error).lower() else "invalid cert") from error

    def load_verify_locations(self, cadata: bytes) -> None:
        try:
            self._context.load_verify_locations(cadata=bytes(cadata))
        except (ssl.SSLError, ValueError) as error:
            raise ValueError("invalid cert") from error

    def get_ciphers(self) -> list[str]:
        return [cipher["name"] for cipher in self._context.get_ciphers()]

    def set_ciphers(self, ciphers: list[str]) -> None:
        self._context.set_ciphers(":".join(ciphers))

    def wrap_socket(
        self,
        stream: Any,
        *,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        server_hostname: str | None = None,
    ) -> "SSLSocket":
        if server_hostname is None and not server_side and self.verify_mode == CERT_REQUIRED:
            raise ValueError("CERT_REQUIRED requires server_hostname")
        wrapped = SSLSocket(self._context, stream, server_side, server_hostname)
        if do_handshake_on_connect:
            wrapped.handshake()
        return wrapped


class SSLSocket:
    """The engine between two memory buffers and the stream."""

    def __init__(self, context: ssl.SSLContext, stream: Any, server_side: bool, name: str | None) -> None:
        self._stream = stream
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_side=server_side, server_hostname=name)
        self._unsent = b""
        self._holds = False
        self._shaken = False

    def handshake(self) -> None:
        while not self._shaken and self._run(self._shake) is None:
            pass

    def readinto(self, buffer: Any, size: int) -> int | None:
        data = self.read(size)
        if data is None:
            return None
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def read(self, size: int = _READ_BYTES) -> bytes | None:
        return self._run(lambda: self._ssl.read(size)) if self._ready() else None

    def write(self, data: Any) -> int | None:
        """As mbedTLS: a record that the stream does not take whole is held, and None returned; the next write goes on
        with it and returns the length of whatever it was given."""
        if not self._ready():
            return None
        if not self._holds:
            self._run(lambda: self._ssl.write(data))
        self._holds = not self.flush_out()
        return None if self._holds else len(data)

    def flush_out(self) -> bool:
        """Hand what is encrypted to the stream; True when nothing is left."""
        self._unsent += self._out.read()
        while self._unsent:
            sent = self._stream.write(self._unsent)
            if sent is None:
                return False
            if sent < 0:
                raise OSError(-sent, "connection lost")
            self._unsent = self._unsent[sent:]
        return True

    def close(self) -> None:
        try:
            self._ssl.unwrap()
        except (ssl.SSLError, OSError, ValueError):
            pass  # the closing alert was queued; nobody waits for the answer
        try:
            self.flush_out()
        except OSError:
            pass  # the connection is gone already

    def getpeercert(self, binary_form: bool) -> bytes | None:
        return self._ssl.getpeercert(True)

    def cipher(self) -> tuple[str, str] | None:
        cipher = self._ssl.cipher()
        return None if cipher is None else (cipher[0], cipher[1])

    def _ready(self) -> bool:
        return self._shaken or self._run(self._shake) is not None

    def _shake(self) -> bool:
        self._ssl.do_handshake()
        _check_dates(self._ssl.getpeercert())
        self._shaken = True
        return True

    def _run(self, operation: Any) -> Any:
        """The operation's result; None when it needs input that has not come."""
        while True:
            try:
                result = operation()
                self.flush_out()
                return result
            except ssl.SSLWantReadError:
                self.flush_out()
                if not self._feed():
                    return None
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLCertVerificationError as error:
                self._last_words()
                raise ValueError(error.verify_message) from error
            except ssl.SSLError as error:
                self._last_words()
                raise OSError(_FATAL_ALERT, error.reason or str(error)) from error

    def _feed(self) -> bool:
        """More ciphertext from the stream; False when there is none now."""
        buffer = bytearray(_READ_BYTES)
        count = self._stream.readinto(buffer)
        if count is None:
            return False
        if count < 0:
            raise OSError(-count, "connection lost")
        if count == 0:
            self._in.write_eof()
        else:
            self._in.write(buffer[:count])
        return True

    def _last_words(self) -> None:
        """The alert that says why."""
        try:
            self.flush_out()
        except OSError:
            pass  # the connection is gone already
