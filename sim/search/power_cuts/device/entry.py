# mypy: ignore-errors
# ruff: noqa: I001, PTH102, PTH123, PTH208, SIM105, UP031
"""Started by real MicroPython in a staged folder: every order from the host is carried out in a child of this process,
which itself never mounts a flash nor makes a column, so no two lives share an object."""

import sys

sys.path[:] = [sys.argv[1], ".frozen"]

from sim.search.power_cuts.device import host, seeded  # noqa: E402

sys.modules["os"] = sys.modules["uos"] = seeded  # before the firmware sees it

from sim.search.power_cuts.device import check, column, life, nor  # noqa: E402

column.load_all(sys.argv[1])
with open(sys.argv[1] + "/boot.py") as _file:
    _BOOT = _file.read()


def _carry_out(order: dict) -> None:
    if order["do"] == "live":
        life.Life(order, _BOOT).run()
        return
    flash = nor.Nor(order["blocks"])
    for block in order["image"]:
        flash.put(block, host.receive_body(nor.BLOCK_BYTES))
    host.send(check.check(order, flash, _BOOT))


def main() -> None:
    while True:
        order = host.receive()
        if order is None:
            return
        status = host.in_child(lambda: _carry_out(order))  # noqa: B023
        host.send({"done": status})


main()
