"""Tokens of SoftHSM with Direct keys, through a module in which some methods lie."""

from contextlib import contextmanager
from itertools import count

from strongroom.core import HsmKey, HsmKeyId, Secret, random_bytes
from strongroom.hsm.cryptoki import AesGcm
from strongroom.hsm.token import Token, TokenSelector, initialise_token, load_profile

PIN = Secret(b"1234")


class Overridden:
    """A module in which some methods are other ones; each is given the real one first."""

    def __init__(self, module, **methods):
        self._module = module
        self._methods = methods

    def __getattr__(self, name):
        real = getattr(self._module, name)
        if name == "decrypt_gcm" and "decrypt" in self._methods:  # another way to the same function
            return lambda session, key, iv, aad, data, number=None: self.decrypt(
                session, AesGcm(iv, aad, 128, number), key, data
            )
        if name not in self._methods:
            return real
        return lambda *args, **kwargs: self._methods[name](real, *args, **kwargs)


@contextmanager
def token_maker(module):
    """Give a function that opens a token of its own, through ``module`` with other methods."""
    opened, numbers = [], count(1)

    def make(**methods):
        label = f"direct-{next(numbers)}"
        initialise_token(module, label=label, so_pin=Secret(b"12345678"), user_pin=PIN)
        through = Overridden(module, **methods) if methods else module
        opened.append(Token.open(through, TokenSelector(label=label), PIN, profile=load_profile("softhsm2")))
        return opened[-1]

    try:
        yield make
    finally:
        for token in opened:
            token.close()


def a_key(spec, usage=None):
    return HsmKey(HsmKeyId(random_bytes(16)), spec, usage or min(spec.usages))


def made(token, spec, usage=None, *, may_leave=True):
    key = a_key(spec, usage)
    return key, token.direct.generate(key, "test", may_leave=may_leave)
