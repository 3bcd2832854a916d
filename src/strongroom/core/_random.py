"""Random bytes of the operating system."""

import os


def random_bytes(n_bytes: int) -> bytes:
    """Return bytes from the kernel's cryptographic generator (getrandom(2))."""
    return os.urandom(n_bytes)
