# mypy: ignore-errors
"""On the chip, imported ahead of main.py: takes the time around the firmware's own steps, and changes none of them.

One console line an alarm, printed when its PUBACK is in: nothing is printed between the stamps.
"""

import json
import time

from firmware.column import Column
from firmware.incidents import Incidents
from firmware.session import Session
from firmware.uplink import Uplink

now_us = time.host.now_us  # CLOCK_MONOTONIC: every process of the bench has the same
_stamps = {}


def _install():
    pressed, press = Column._pressed, Incidents.press
    publish, acknowledged = Session.publish, Uplink._acknowledged

    def stamped_pressed(self, *arguments):
        _stamps.clear()
        _stamps["press"] = now_us()
        return pressed(self, *arguments)

    def stamped_press(self, *arguments):
        incident = press(self, *arguments)
        _stamps["journal"] = now_us()
        return incident

    def stamped_publish(self, topic, *arguments):
        if topic.endswith(b"/alarm"):
            _stamps["publish"] = now_us()
        publish(self, topic, *arguments)

    def stamped_acknowledged(self, token):
        if "journal" in _stamps and hasattr(token[0], "sent_press"):  # an incident, not telemetry
            _stamps["puback"] = now_us()
            _stamps["id"] = token[0].id
            _stamps["n"] = token[1]
            print("bench " + json.dumps(_stamps))
            _stamps.clear()
        acknowledged(self, token)

    Column._pressed, Incidents.press = stamped_pressed, stamped_press
    Session.publish, Uplink._acknowledged = stamped_publish, stamped_acknowledged


_install()
