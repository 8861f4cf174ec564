"""What only the start needs of the chip: forgotten afterwards, see `Esp32Board.configure`."""

import binascii
import os

import machine
import tls as _tls
from micropython import const

_LAMP_PWM_HZ = const(1000)
_LAMP_PINS = ("lamp_red", "lamp_green", "lamp_blue")


def uid():
    return "".join("%02x" % byte for byte in machine.unique_id())


def chip():
    """ "esp32c3" and so on, known or not: MicroPython's machine name ends in "with ESP32C3"."""
    return os.uname().machine.split(" with ")[-1].lower().replace("-", "")


def _ders(pem):
    """Each block of a PEM text as DER, which every build of mbedTLS can read."""
    at = pem.find("-----")
    if at < 0:
        raise ValueError("not PEM text")
    while at >= 0:
        begin = pem.find("-----", at + 5) + 5  # no copies: a small heap has no room for them
        end = pem.find("-----", begin)
        if end < 0:
            raise ValueError("not PEM text")
        yield binascii.a2b_base64(pem[begin:end])
        at = pem.find("-----BEGIN", end)


def make_context(ca, cert, key):
    """What every session's TLS begins with, from PEM texts, which it does not need again. Raises ValueError.

    `ca` may hold several authorities: MicroPython hands each to mbedtls_x509_crt_parse, which adds it to those before.
    """
    context = _tls.SSLContext(_tls.PROTOCOL_TLS_CLIENT)
    setattr(context, "verify_mode", _tls.CERT_REQUIRED)  # the stubs do not know the attribute
    for der in _ders(ca):
        context.load_verify_locations(der)
    if cert and key:
        context.load_cert_chain(next(_ders(cert)), next(_ders(key)))
    return context


def wire(board, config):
    """(contact, lamp, relay, tamper switch, supply, link, what TLS begins with): the board's parts, as configured."""
    from hal.esp32 import Relay, RgbLamp
    from hal.esp32_contact import Contact
    from hal.esp32_network import make_network

    pins, pin = config["pins"], machine.Pin
    contact = Contact(pins["button"], config["button"]["active_low"], pins["pulse"], board)
    lamp = RgbLamp([machine.PWM(pin(pins[name]), freq=_LAMP_PWM_HZ, duty_u16=0) for name in _LAMP_PINS])
    active_high = config["relay"]["active_high"]
    relay = Relay(pin(pins["relay"], pin.OUT, value=not active_high), active_high)
    tamper = supply = None
    if pins["tamper"] is not None:
        tamper = pin(pins["tamper"], pin.IN, pin.PULL_UP)
    if pins["supply"] is not None:
        supply = machine.ADC(pin(pins["supply"]), atten=machine.ADC.ATTN_11DB)
    # Last: it cannot be made twice, and whatever is refused has been by now.
    link, tls = make_network(config, lambda: _tls_of(config))
    return contact, lamp, relay, tamper, supply, link, tls


def _tls_of(config):
    tls = config["broker"]["tls"]
    return make_context(tls["ca"], tls["cert"], config["secrets"]["tls_key"]) if tls else None
