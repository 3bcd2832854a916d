"""What a worker lets be done goes by what it sees, and the security officer's sees no private object."""

import msgspec
import pytest

from fakes_act_gate import ACT_RULES, destroy
from fakes_custody import genesis_body, signed_genesis
from strongroom.core import ApprovalRequiredError, SystemClock
from strongroom.custody import Pin, document_hash, write_pin
from strongroom.hsm.token import load_profile
from strongroom.hsm.wire import TakeInKey
from strongroom.wiring.bootstrap import MemberBootstrap
from strongroom.wiring.custody_gate import member_custody

GENESIS = signed_genesis(genesis_body(rules=ACT_RULES))
PINNED = write_pin(Pin(document_hash(GENESIS), 0, document_hash(GENESIS)))


class Data:
    def values(self, _application, _label):
        return [PINNED]


class Token:
    """A token with one key, which is private."""

    data = Data()

    def __init__(self, mode):
        self._is_user = mode != "officer"

    def holds_object(self, cka_id):
        return self._is_user and cka_id == destroy(1).key.key_id


@pytest.fixture
def start(tmp_path):
    folder = tmp_path / "custody"
    (folder / "pins").mkdir(parents=True)
    (folder / "pins" / "alpha").write_bytes(PINNED)

    def start_(mode):
        bootstrap = MemberBootstrap(
            mode, "alpha", "softhsm2", 1, bytearray(), genesis=GENESIS, custody_folder=str(folder)
        )
        return member_custody(bootstrap, Token(mode), load_profile("softhsm2"), clock=SystemClock())

    return start_


@pytest.mark.parametrize("first", ["officer", "administer", "serve"])
def test_a_key_that_was_there_is_none_that_was_just_made_whoever_looked(start, first):
    take_in = TakeInKey(destroy(1).key, "a key", b"\x07" * 16, b"", b"")
    start(first).check("TakeInKey", msgspec.structs.asdict(take_in))
    with pytest.raises(ApprovalRequiredError):
        start("serve").check("DestroyDirect", msgspec.structs.asdict(destroy(1)))
