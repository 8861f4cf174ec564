"""A desk as a process, for tests that kill it: `python duty_process.py '{"path", "port", "name", "fault", "ladder"}'`.

Prints `connected`, then answers each line of its input: a JSON list of a method's name and its arguments. `fault`:
where it kills itself, or in which way it is wrong, one of FAULTS.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.ports import HOST
from desk import ladder
from desk.batch import Batch
from desk.duty import Duty
from desk.ledger import LedgerError
from desk.register import Register
from desk.telling import Officers

write = Batch.write
client: Any = None


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def send_receipts(batch: Batch) -> None:
    """The PUBACKs are out on the wire, not only in a queue of paho's."""
    for receipt in batch.receipts:
        receipt.send()
    client.loop_write()


def before_commit(batch: Batch, register: Register, *rest: Any) -> None:
    with register.transaction():
        write(batch, register, *rest)
        if batch.incidents:
            die()


def after_commit(batch: Batch, register: Register, *rest: Any) -> None:
    write(batch, register, *rest)
    if batch.incidents:
        die()


def before_answer(batch: Batch, register: Register, *rest: Any) -> None:
    write(batch, register, *rest)
    if batch.incidents:
        send_receipts(batch)
        die()


def receipt_first(batch: Batch, register: Register, *rest: Any) -> None:
    """Wrong: the broker may forget what is not in the register."""
    if batch.incidents:
        send_receipts(batch)
        die()
    write(batch, register, *rest)


def forgets_debts(batch: Batch, register: Register, *rest: Any) -> None:
    """Wrong: nobody remembers which answers have not left."""
    batch.incidents = dict.fromkeys(batch.incidents, False)
    before_answer(batch, register, *rest)


FAULTS: dict[str, Callable[..., None]] = {
    "before-commit": before_commit,
    "after-commit": after_commit,
    "before-answer": before_answer,
    "receipt-first": receipt_first,
    "forgets-debts": forgets_debts,
}


def main() -> None:
    global client
    options = json.loads(sys.argv[1])
    if options["fault"]:
        Batch.write = FAULTS[options["fault"]]  # type: ignore[method-assign,assignment]
    with Register(Path(options["path"])) as register:
        plan = ladder.read(Path(options["ladder"])) if options["ladder"] else None
        officers = Officers(plan.officers, register.path.parent) if plan else None
        duty = Duty(register, HOST, options["port"], name=options["name"], plan=plan, officers=officers)
        client = duty._calls._client
        with duty:
            duty.wait_connected(60)
            print("connected", flush=True)
            for line in sys.stdin:
                name, *words = json.loads(line)
                try:
                    print(json.dumps(getattr(duty, name)(*words)), flush=True)
                except LedgerError as error:
                    print(json.dumps({"refused": str(error)}), flush=True)


if __name__ == "__main__":
    main()
