"""A witness that two logs under one name ask until it is killed; prints what went out. Arguments: folder, which past, from where."""

import os
import sys
import threading
from pathlib import Path

from strongroom.audit import Witness, WitnessRefusalError, WitnessStore, encode_cosignatures
from unit.audit.witness_logs import LOGS, WITNESS, StandingClock, leaves_of_past, request_of

store = WitnessStore(Path(sys.argv[1]))
witness = Witness(LOGS, WITNESS, store, clock=StandingClock())
COUNT = 300


def ask(past: str) -> None:
    """Ask to cosign one past, a few entries at a time, from what the witness names."""
    leaves, old = leaves_of_past(past, COUNT), 0
    while old < COUNT:
        new = min(old + 1 + old % 3, COUNT)
        try:
            cosigned = witness.add_checkpoint(request_of(leaves, old, new))
        except WitnessRefusalError as error:
            old = old + 1 if error.size is None else error.size
            if error.is_fork:
                return
            continue
        root = cosigned.checkpoint.root.hex()
        lines = encode_cosignatures(cosigned.signatures).count(b"\n")
        os.write(1, f"{new} {root} {lines}\n".encode())
        old = new


threads = [threading.Thread(target=ask, args=[past]) for past in sys.argv[2:]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
