"""Two real SoftHSM tokens with the transport keys of the first between them."""

from typing import NamedTuple

from fixtures_two_tokens import new_token, opened
from strongroom.core import TransportKind, random_bytes
from strongroom.hsm.cryptoki import MechanismType, Module
from strongroom.hsm.token import Role, Token
from strongroom.hsm.token._transport_setup import TransportName

PAD = int(MechanismType.AES_KEY_WRAP_PAD)


class Joined(NamedTuple):
    """Alpha with transport keys of its own, and beta that takes in what comes under them."""

    module: Module
    alpha: Token
    beta: Token
    names: dict[TransportKind, bytes]

    def close(self):
        self.alpha.close()
        self.beta.close()


def joined(module: Module, kinds=tuple(TransportKind)) -> Joined:
    """Make two tokens and alpha's transport keys, and open both as user."""
    label, beta = new_token(module), opened(module, new_token(module))
    names = [TransportName(random_bytes(16), kind) for kind in kinds]
    offer = beta.transport.offer(b"an offer of beta")
    officer = opened(module, label, Role.SECURITY_OFFICER)
    (wrapped,) = officer.transport.make_keys(
        names, "transport-alpha", mechanism=offer.mechanisms[0], targets=[offer.spki_der]
    )
    officer.close()
    beta.transport.take_keys(
        b"an offer of beta", names, "transport-alpha", mechanism=offer.mechanisms[0], wrapped=wrapped
    )
    beta.transport.end_offer(b"an offer of beta")
    return Joined(module, opened(module, label), beta, {kind: cka_id for cka_id, kind in names})
