"""What a broken connection is called: an error of the network or of mbedTLS, in words that a check-up knows.

The numbers are those of the sources: MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE is -0x7780 and MBEDTLS_ERR_SSL_CONN_EOF is
-0x7280 (mbedtls/ssl.h); ECONNRESET is 104 in newlib and on Linux, ENOTCONN 107 on Linux and 128 in newlib, which lwIP
uses on the chip; extmod/modtls_mbedtls.c hands errors of the socket on as they are, and a certificate's as ValueError.
"""

from collections.abc import Callable
from typing import cast

import pytest

from hal import esp32_net

FATAL_ALERT, CONN_EOF = -0x7780, -0x7280
ECONNRESET, ENOTCONN_LINUX, ENOTCONN_LWIP, ECONNABORTED, ENOMEM = 104, 107, 128, 113, 12
BY_US = "TLS: the broker's certificate is refused: "
BY_THEM = "TLS: the broker refuses us ("
in_words = cast(Callable[[Exception, bool], OSError], esp32_net._in_words)


@pytest.mark.parametrize(("said", "told"), [("The certificate validity has expired", ""), ("", "wrong authority")])
@pytest.mark.parametrize("begun", [False, True])
def test_a_certificate_that_we_refuse(said: str, told: str, begun: bool) -> None:
    """Builds without mbedTLS's texts say nothing: then what it can be is told."""
    found = in_words(ValueError(said), begun)
    assert isinstance(found, OSError) and str(found).startswith(BY_US + (said or told))


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("text", [(), ("MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE",)])
def test_an_alert_is_a_refusal_whenever_it_comes(text: tuple[str, ...], begun: bool) -> None:
    """TLS 1.3 brokers, and mosquitto, refuse a client's certificate after the handshake. Broken by another number."""
    found = in_words(OSError(FATAL_ALERT, *text), begun)
    assert str(found).startswith(BY_THEM) and "check the column's certificate and key" in str(found)


@pytest.mark.parametrize("number", [ECONNRESET, ENOTCONN_LINUX, ENOTCONN_LWIP])
def test_a_connection_that_ends_in_the_handshake_is_a_refusal(number: int) -> None:
    """The alert was lost, for what we sent had crossed it. Afterwards it is a broken connection and nothing else.

    Broken by taking a number out of `_ENDED`, and by asking `begun` no more."""
    assert str(in_words(OSError(number), False)).startswith(BY_THEM)
    error = OSError(number)
    assert in_words(error, True) is error


@pytest.mark.parametrize("number", [CONN_EOF, ECONNABORTED, ENOMEM, 0])
@pytest.mark.parametrize("begun", [False, True])
def test_anything_else_stays_what_it_is(number: int, begun: bool) -> None:
    """A plain broker behind a TLS port, a lost link, too little memory: no certificate is to blame."""
    error = OSError(number)
    assert in_words(error, begun) is error
    bare = OSError()
    assert in_words(bare, begun) is bare


def test_the_numbers_are_the_sources() -> None:
    assert esp32_net._FATAL_ALERT == FATAL_ALERT and set(esp32_net._ENDED) == {
        *(ECONNRESET, ENOTCONN_LINUX, ENOTCONN_LWIP)
    }
