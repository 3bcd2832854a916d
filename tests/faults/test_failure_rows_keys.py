"""Rows of the failure matrix about keys: made, found, destroyed, wrapped; on a real token behind the fault shim."""

import pytest

from faults.failing_token import AAD, KEY, ROOT
from strongroom.core import (
    HsmError,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    MemberFailedError,
    MemberReadOnlyError,
    RootId,
    Secret,
    random_bytes,
)
from strongroom.hsm.cryptoki import AesKeyGen, Attribute
from tokens.remote_token import TokenProcess

pytestmark = pytest.mark.softhsm


def new_key(failing):
    key = HsmKey(HsmKeyId(random_bytes(16)), KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
    failing.token.direct.generate(key, "direct", may_leave=False)
    return key


def new_root():
    return RootId(random_bytes(16))


def test_f20_a_key_that_is_not_found_yet_is_told_as_absent_and_found_when_it_appears(failing):
    failing.shim.hide_new_keys(600)
    root_id = new_root()
    try:
        failing.token.generate_root(root_id, "late")
    except HsmError:
        return  # refused as a whole: never told as made
    assert not failing.token.has_root(root_id)
    with pytest.raises(MemberFailedError):
        failing.token.wrap(root_id, KEY, AAD)
    failing.shim.forget_hidden_keys()
    assert failing.token.unwrap(root_id, failing.token.wrap(root_id, KEY, AAD), AAD).matches(KEY)


def test_f21_a_key_that_another_process_made_is_found(failing):
    root_id = new_root()
    with pytest.raises(HsmKeyNotFoundError):
        failing.token.wrap(root_id, KEY, AAD)
    with TokenProcess(failing.started) as other:
        other.open()
        other.token.generate_root(root_id, "made by another")
    assert failing.token.unwrap(root_id, failing.token.wrap(root_id, KEY, AAD), AAD).matches(KEY)


def test_f22_a_destruction_that_only_claims_to_have_happened_is_found_out(failing):
    key = new_key(failing)
    failing.shim.fail("C_DestroyObject", "CKR_OK")
    with pytest.raises(HsmError):
        failing.token.direct.destroy(key)
    failing.shim.heal()
    assert failing.token.direct.holds(key)
    failing.token.direct.destroy(key)
    assert not failing.token.direct.holds(key)


def test_f22_a_destruction_whose_answer_was_lost_is_looked_up(failing):
    key = new_key(failing)
    failing.shim.fail("C_DestroyObject", "CKR_DEVICE_ERROR", last=1, after=True)
    failing.token.direct.destroy(key)
    assert not failing.token.direct.holds(key)


def test_f22_a_creation_whose_answer_was_lost_is_looked_up_and_made_once(failing):
    root_id = new_root()
    failing.shim.fail("C_GenerateKey", "CKR_DEVICE_ERROR", last=1, after=True)
    try:
        failing.token.generate_root(root_id, "whose answer was lost")
    except HsmError:
        if not failing.token.has_root(root_id):
            return  # undone, and said
    found = [item for item in failing.token.list_objects() if item.cka_id == root_id]
    assert len(found) == 1
    assert failing.token.unwrap(root_id, failing.token.wrap(root_id, KEY, AAD), AAD).matches(KEY)


def test_f23_a_second_key_of_one_name_is_refused_and_two_of_one_name_serve_nobody(failing):
    with pytest.raises(HsmRequestError):
        failing.token.generate_root(ROOT, "again")
    slots = failing.process.module.slots()
    slot = next(
        slot for slot in slots if failing.process.module.token_info(slot).label == failing.started.label
    )
    session = failing.process.module.open_session(slot)
    twin = {
        Attribute.VALUE_LEN: 32,
        Attribute.TOKEN: True,
        Attribute.ID: ROOT,
        Attribute.ENCRYPT: True,
        Attribute.DECRYPT: True,
        Attribute.PRIVATE: True,
    }
    handle = failing.process.module.generate_key(session, AesKeyGen(), twin)
    try:
        with pytest.raises(HsmError):
            failing.token.has_root(ROOT)
        failing.restart()
        with pytest.raises(HsmError):
            failing.token.wrap(ROOT, KEY, AAD)
    finally:
        session = failing.process.module.open_session(slot)
        for found in failing.process.module.find_objects(session, {Attribute.ID: ROOT}):
            if failing.process.module.get_attributes(session, found, [Attribute.LABEL]) != {
                Attribute.LABEL: "root"
            }:
                failing.process.module.destroy_object(session, found)
        failing.restart()
    assert handle
    assert failing.serves()


@pytest.mark.parametrize(
    ("rule", "iv_len"), [("hsm-in-parameter", 12), ("hsm-appended", 16), ("hsm-prepended", 12)]
)
def test_f34_the_iv_that_the_token_made_is_the_one_that_is_kept(failing, rule, iv_len):
    failing.shim.make_own_iv(rule, iv_len=iv_len)
    failing.open_as(iv_rule=rule, iv_len=iv_len)
    wrapped = [failing.token.wrap(ROOT, KEY, AAD) for _ in range(5)]
    assert len({item.iv for item in wrapped}) == 5
    assert {len(item.iv) for item in wrapped} == {iv_len}
    assert bytes(iv_len) not in {item.iv for item in wrapped}
    assert all(failing.token.unwrap(ROOT, item, AAD).matches(KEY) for item in wrapped)


def test_f34_a_profile_that_does_not_know_of_it_is_found_out_before_it_serves(failing):
    failing.shim.make_own_iv("hsm-appended", iv_len=16)
    with pytest.raises(HsmError, match="iv_rule"):
        failing.token.prove_profile()


@pytest.mark.parametrize("n_bytes", [1, 20, 31, 33, 4096])
def test_f35_what_is_unwrapped_has_the_length_of_what_was_wrapped(failing, n_bytes):
    key = Secret(random_bytes(n_bytes))
    assert failing.token.unwrap(ROOT, failing.token.wrap(ROOT, key, AAD), AAD).matches(key)


def test_f37_no_call_needs_more_than_the_smallest_hsm_takes(failing):
    failing.shim.limit_data(16_224)
    hashed = failing.shim.calls("C_Digest")
    largest = Secret(bytes(4096))
    assert failing.token.unwrap(ROOT, failing.token.wrap(ROOT, largest, bytes(8192)), bytes(8192)).matches(
        largest
    )
    key = new_key(failing)
    failing.token.direct.mac(key, bytes(4096))
    failing.token.direct.destroy(key)
    assert failing.shim.calls("C_Digest") == hashed


def test_f38_a_token_that_takes_nothing_new_serves_and_is_told_as_read_only(failing):
    key = new_key(failing)
    failing.shim.protect_from_writes()
    with pytest.raises(MemberReadOnlyError):
        failing.token.generate_root(new_root(), "not now")
    with pytest.raises(MemberReadOnlyError):
        failing.token.direct.destroy(key)
    assert failing.serves()
    assert not failing.is_broken
    failing.shim.protect_from_writes(on=False)
    failing.token.direct.destroy(key)


def test_f41_a_token_that_refuses_every_command_is_the_members_failure_and_comes_back(failing):
    for name in ("C_EncryptInit", "C_DecryptInit", "C_GenerateRandom", "C_FindObjectsInit", "C_GenerateKey"):
        failing.shim.fail(name, "CKR_DEVICE_MEMORY")
    for call in (lambda: failing.token.wrap(ROOT, KEY, AAD), lambda: failing.token.random(8)):
        with pytest.raises(MemberFailedError):
            call()
    failing.shim.heal()
    failing.fresh()
    assert failing.serves()


def test_f33_using_a_root_makes_no_objects_that_could_leak(failing):
    made, destroyed = (failing.shim.calls(name) for name in ("C_CreateObject", "C_DestroyObject"))
    for _ in range(20):
        assert failing.serves()
        failing.token.wrap(ROOT, KEY, AAD)
    assert failing.shim.calls("C_CreateObject") == made
    assert failing.shim.calls("C_DestroyObject") == destroyed
