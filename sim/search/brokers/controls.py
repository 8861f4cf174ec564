"""The negative controls of the broker part: firmware broken in a copy of its sources, or a receiver that is spoiled."""

from sim.real.changed import Change
from sim.search.findings import Control

CONTROLS = {
    "forget-on-puback": Control("an incident is over for the column as soon as the broker has it", "missing, lamp"),
    "answered-on-puback": Control("the lamp says `answered` on the broker's word", "`answered` only by the centre"),
    "no-resend": Control("what was in flight when a connection broke is not sent again", "missing"),
    "incident-per-press": Control("every press opens an incident of its own", "one incident per press"),
    "deaf-receiver": Control("the receiver's ledger leaves one alarm out", "missing"),
    "ghost-alarm": Control("somebody else publishes an alarm of a column", "invented"),
}
BREAKS = {
    "forget-on-puback": Change(
        "firmware/uplink.py",
        "            self._incidents.at_broker(incident, press)\n",
        "            self._incidents.at_broker(incident, press)\n"
        '            self._incidents.answered(incident.id, "closed")\n',
    ),
    "answered-on-puback": Change(
        "firmware/incident.py", "self.state = max(self.state, SENT)", "self.state = max(self.state, RECEIVED)"
    ),
    "no-resend": Change("firmware/uplink.py", "        self._incidents.connection_lost()\n", ""),
    "incident-per-press": Change("firmware/incidents.py", "newest.takes_presses(self._open_ms) and ", "False and "),
}
