"""Signs with P-256 and does nothing else; says what one signature took. ``python -m bench.signing_program SECONDS``."""

import sys
import time
from statistics import median

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.core import random_bytes

_MESSAGE_BYTES = 64
_AT_ONCE = 200


def main() -> None:
    """Print the median over parts of 200 signatures: microseconds of processor time of one, its SHA-256 included."""
    key, message = ec.generate_private_key(ec.SECP256R1()), random_bytes(_MESSAGE_BYTES)
    scheme = ec.ECDSA(hashes.SHA256())
    until = time.monotonic() + float(sys.argv[1])
    taken: list[float] = []
    while time.monotonic() < until or not taken:
        began = time.process_time()
        for _ in range(_AT_ONCE):
            key.sign(message, scheme)
        taken.append((time.process_time() - began) / _AT_ONCE * 1e6)
    print(round(median(taken), 2))


if __name__ == "__main__":
    main()
