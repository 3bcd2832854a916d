"""A development home whose PINs are sealed, what its tokens say of PINs, and a search for PINs in what was written."""

import base64
import subprocess
import sys

from running_service import copy_home
from strongroom.config import Home, load_config
from strongroom.core import SystemClock
from strongroom.wiring.home import locked_home
from strongroom.wiring.pin_sealing import read_pin
from strongroom.wiring.pin_upkeep import seal_pins

_LOGIN = """
import sys
from strongroom.hsm.cryptoki import Module, PinIncorrectError, TokenFlag, UserType
from strongroom.config import softhsm_module
from strongroom.hsm.token import load_profile
serial, role, pin = sys.argv[1], sys.argv[2], sys.stdin.buffer.read()
module = Module.load(softhsm_module() or load_profile("softhsm2").find_module())
slot, info = next((s, module.token_info(s)) for s in module.slots() if module.token_info(s).serial == serial)
flag = TokenFlag.USER_PIN_COUNT_LOW if role == "user" else TokenFlag.SO_PIN_COUNT_LOW
print("after a wrong one" if flag in info.flags else "after a right one", end=": ")
session = module.open_session(slot)
try:
    module.login(session, UserType.USER if role == "user" else UserType.SECURITY_OFFICER, pin)
    print("taken")
except PinIncorrectError:
    print("refused")
"""


def sealed_home(template, target) -> Home:
    """A copy of a development home, its PINs sealed as ``strongroom pin seal`` seals them."""
    home = copy_home(template, target)
    with locked_home(home):
        assert seal_pins(home, member=None, pin=None, clock=SystemClock()) == ["alpha", "beta"]
    return home


def members_of(home):
    return {member.name: member for member in load_config(home.root).cluster.members}


def pins_of(home):
    """The PIN of each member, as it is stored."""
    return {name: read_pin(member, home).reveal() for name, member in members_of(home).items()}


def login_says(home, name, pin, *, role="user"):
    """What the token says to a PIN, and whether a wrong one came since the last right one, in a process of its own."""
    import os

    member = members_of(home)[name]
    environment = {"PATH": "", "SOFTHSM2_CONF": str(home.tokens / f"{name}.conf")}
    for passed in ("PYTHONPATH", "STRONGROOM_SOFTHSM_MODULE"):
        if passed in os.environ:
            environment[passed] = os.environ[passed]
    done = subprocess.run(
        [sys.executable, "-c", _LOGIN, member.token_serial or "", role],
        input=pin,
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout.decode().strip()


def written_with(secrets, *places):
    """The files below these places that hold one of the secrets, in clear, in hex or in Base64."""
    forms = {
        form
        for secret in secrets
        for form in (secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret).rstrip(b"="))
    }  # fmt: skip
    files = [path for place in places for path in (place.rglob("*") if place.is_dir() else [place])]
    return [
        str(path) for path in files if path.is_file() and any(form in path.read_bytes() for form in forms)
    ]
