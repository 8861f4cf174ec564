"""A fleet's surroundings on this machine: `python -m sim servers FOLDER`, `make servers`.

What provisioning made is put to use as it is: mosquitto with the broker's certificate, passwords and access list, a
control centre, cameras (GStreamer's RTSP server), intercoms (baresip), and a stand-in for the time server. A file tells
virtual boards and the desk where all that is, see common/connect_to.py. Each of the parts can be broken.
"""

from sim.fleet.command import main as main
from sim.fleet.surroundings import BREAKS as BREAKS
from sim.fleet.surroundings import FleetServers as FleetServers
from sim.fleet.surroundings import FleetServersError as FleetServersError
