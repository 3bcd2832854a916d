"""A token that was made for tests and can be reached: what a process needs to load its module and log in."""

from pathlib import Path
from typing import NamedTuple

from strongroom.hsm.token import Profile


class StartedToken(NamedTuple):
    """One token of one kind. Its owner is the context manager that made it, which also takes it away."""

    kind: str
    """``softhsm``, ``opencryptoki``, ``nss``, ``p11-kit`` or ``shim``."""
    module: Path
    profile: Profile
    label: str
    user_pin: bytes
    so_pin: bytes | None
    """None: its security officer cannot log in (NSS softokn has none to speak of)."""
    environment: dict[str, str]
    """What the process that loads the module needs besides PATH."""
    library_parameters: str | None = None
    """Only NSS wants some (see ``Module.load``)."""
    prefix: tuple[str, ...] = ()
    """Command words that bring a process to where the module can be used (``nsenter …``)."""
