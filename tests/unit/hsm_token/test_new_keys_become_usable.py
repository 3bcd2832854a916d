"""A new root that the token does not know at once is waited for, as long as the profile says and no longer."""

import msgspec
import pytest

from fixtures_token import PIN, FakeModule
from strongroom.core import HsmError, RootId
from strongroom.hsm.cryptoki import Attribute, KeyHandleInvalidError
from strongroom.hsm.token import Token, TokenSelector, load_profile

ROOT = RootId(bytes(range(16)))


def open_token(module, within_s):
    profile = msgspec.structs.replace(load_profile("softhsm2"), usable_within_s=within_s)
    return Token.open(module, TokenSelector(label="a"), PIN, profile=profile)


class SlowModule(FakeModule):
    """Keys are made, but not found for use the first ``tries`` times."""

    def __init__(self, tries):
        super().__init__("a")
        self.tries = tries

    def get_attributes(self, session, handle, names):
        if names == (Attribute.CHECK_VALUE,) and self.tries:
            self.tries -= 1
            raise KeyHandleInvalidError
        return super().get_attributes(session, handle, names)


def test_a_root_is_reported_once_it_can_be_used():
    module = SlowModule(3)
    token = open_token(module, within_s=30)
    assert token.generate_root(ROOT, "root").kind == "CKA_CHECK_VALUE"
    assert module.tries == 0
    assert token.has_root(ROOT)


def test_a_root_that_does_not_become_usable_is_not_kept():
    token = open_token(SlowModule(10**6), within_s=0.2)
    with pytest.raises(HsmError):
        token.generate_root(ROOT, "root")
    assert not token.has_root(ROOT)
