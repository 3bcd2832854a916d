"""Real SoftHSM tokens between which a root travels, with the PINs of their users in hand."""

from strongroom.core import RootId, Secret, random_bytes
from strongroom.hsm.cryptoki import Module
from strongroom.hsm.token import Role, Token, TokenSelector, initialise_token, load_profile

PIN, SO_PIN = Secret(b"1234"), Secret(b"12345678")
PROFILE = load_profile("softhsm2")
ROOT_ID, PAIR = RootId(bytes(range(16))), b"beta's pair"


def new_token(module: Module) -> str:
    """Initialise a token and return its label."""
    label = f"token-{random_bytes(8).hex()}"
    initialise_token(module, label=label, so_pin=SO_PIN, user_pin=PIN)
    return label


def opened(module: Module, label: str, role: Role = Role.USER) -> Token:
    """Open a token; whoever calls closes it."""
    pin = PIN if role is Role.USER else SO_PIN
    return Token.open(module, TokenSelector(label=label), pin, profile=PROFILE, role=role)


def slot_of(module: Module, token: Token) -> int:
    """The slot in which a token is."""
    return next(slot for slot in module.slots() if module.token_info(slot).serial == token.identity.serial)


def raw_session(module: Module, token: Token) -> int:
    """A session of whoever opened the token, for calls that ``Token`` would never make."""
    return module.open_session(slot_of(module, token))


def trust(module: Module, label: str, cka_id: bytes, spki_der: bytes) -> None:
    """Let the security officer of a token that nobody has open trust a public key."""
    officer = opened(module, label, Role.SECURITY_OFFICER)
    officer.import_trusted_public(cka_id, "trusted", spki_der)
    officer.close()
