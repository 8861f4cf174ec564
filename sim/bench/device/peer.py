# mypy: ignore-errors
# ruff: noqa: UP031 - as the firmware does it
"""On the chip, in the firmware's place: the peers that the firmware is measured against, on the same sockets.

`run(options)`; "peer" in it is one of
  bare    the same bytes in a single write on a bare socket, then the PUBACK is read: the floor
  simple  umqtt.simple's own publish(qos=1), which blocks
  robust  umqtt.robust's, which reconnects by itself
"""

import json
import struct
import sys
import time

import machine
import network

now_us = time.host.now_us
_LOOK_MS = 2


def run(options):
    _join(options["ssid"])
    machine.RTC().datetime(options["now"])  # certificates are checked against it
    if options["tls"]:
        sys.modules["ussl"] = _Ussl(options["tls"])
    if options["peer"] == "robust":
        from hal.umqtt.robust import MQTTClient
    else:
        from umqtt.simple import MQTTClient
    client = MQTTClient(b"bench-peer", options["host"], options["port"], keepalive=60, ssl=bool(options["tls"]))
    client.connect()
    print('bench {"ready":true}')
    if options["peer"] == "robust":
        _on_presses(client, options)
    else:
        _in_a_row(client, options)


def _join(ssid):
    nic = network.WLAN(network.STA_IF)
    nic.active(True)
    nic.connect(ssid)
    while not nic.isconnected():
        time.sleep_ms(_LOOK_MS)


def _in_a_row(client, options):
    topic, outputs = options["topic"].encode(), _Outputs(options)
    for number in range(options["count"]):
        payload = _payload(options, number)
        outputs.show(number)
        start = now_us()
        if options["peer"] == "bare":
            _bare_publish(client.sock, topic, payload, number + 1)
        else:
            client.publish(topic, payload, False, 1)
        _report(number, start, now_us())
        time.sleep_ms(options["pause_ms"])


def _bare_publish(sock, topic, payload, pid):
    size = len(topic) + len(payload) + 4
    head = struct.pack("!BBBH", 0x32, size & 0x7F | 0x80, size >> 7, len(topic))
    sock.write(head + topic + struct.pack("!H", pid) + payload)
    assert sock.read(4) == b"\x40\x02" + struct.pack("!H", pid)


def _on_presses(client, options):
    button = machine.Pin(options["button"], machine.Pin.IN, machine.Pin.PULL_UP)
    number = 0
    while True:
        while button.value():
            time.sleep_ms(_LOOK_MS)
        start = now_us()
        client.publish(options["topic"].encode(), _payload(options, number), False, 1)
        _report(number, start, now_us())
        number += 1
        while not button.value():
            time.sleep_ms(_LOOK_MS)


class _Outputs:
    """Lamp, relay and console, as the firmware uses them ahead of a publish: the simulator's parent process has the
    same work to do meanwhile, on the same processors."""

    def __init__(self, options):
        self._lamp = [machine.PWM(machine.Pin(pin), freq=1000, duty_u16=0) for pin in options["lamp"]]
        self._relay = machine.Pin(options["relay"], machine.Pin.OUT, value=0)

    def show(self, number):
        for channel in self._lamp:
            channel.duty_u16(number % 2 * 65535)
        self._relay.value(number % 2)
        print("press: incident bench-1-%06d press 1" % number)


def _payload(options, number):
    return options["payload"].replace("@", "%06d" % number).encode()


def _report(number, start, end):
    print("bench " + json.dumps({"id": "bench-1-%06d" % number, "press": start, "puback": end}))


class _Ussl:
    """The `ussl` that umqtt.simple asks for, as older images had it, with the firmware's own certificates."""

    def __init__(self, tls):
        from hal import esp32_start

        self._context = esp32_start.make_context(tls["ca"], tls["cert"], tls["key"])
        self._name = tls["server_name"]

    def wrap_socket(self, sock):
        return _Stream(self._context.wrap_socket(sock, server_hostname=self._name))


class _Stream:
    """write(data, size), as the chip's TLS streams have it."""

    def __init__(self, stream):
        self._stream = stream
        self.read = stream.read
        self.setblocking = stream.setblocking
        self.close = stream.close

    def write(self, data, size=-1):
        return self._stream.write(data if size < 0 else bytes(data[:size]))
