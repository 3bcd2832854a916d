"""While a transport key is made, nobody sees it or what carries it; a token that drops a template gets none."""

import os
import shutil
from contextlib import suppress
from itertools import count

import pytest

from fixtures_token import softhsm_module
from fixtures_transport import PAD
from fixtures_two_tokens import PIN, new_token, opened
from strongroom.core import HsmError, TransportKind, random_bytes
from strongroom.hsm.cryptoki import (
    Attribute,
    CryptokiError,
    DeviceError,
    GeneralError,
    Module,
    SessionHandleInvalidError,
    UserType,
)
from strongroom.hsm.token import Role
from strongroom.hsm.token._transport_setup import TransportName

pytestmark = pytest.mark.softhsm

A = Attribute


def test_another_process_with_the_users_pin_sees_nothing_of_a_transport_key_in_the_making(tmp_path):
    with softhsm_module(tmp_path) as module:
        label, beta = new_token(module), opened(module, new_token(module))
        seen = []
        thief = _second_process(tmp_path)
        try:
            spied = [_logged_in(thief, name) for name in (label, beta.identity.label)]

            def look(self, session, mechanism, **keys):
                if self is module:
                    seen.append([thief.find_objects(spy, {}) for spy in spied])
                return wrap_key(self, session, mechanism, **keys)

            wrap_key = Module.wrap_key
            offer = beta.transport.offer(b"an offer of beta")
            officer = opened(module, label, Role.SECURITY_OFFICER)
            names = [TransportName(random_bytes(16), TransportKind.AES)]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Module, "wrap_key", look)
                officer.transport.make_keys(
                    names, "t", mechanism=offer.mechanisms[0], targets=[offer.spki_der]
                )
            officer.close()
            assert seen[0] == [[], []]  # the key is wrapped for itself before it is on the token
            assert [len(found) for found in seen[1]] == [1, 0]  # what is seen later is the finished key
            (finished,) = thief.find_objects(spied[0], {})
            held = thief.get_attributes(
                spied[0], finished, (A.EXTRACTABLE, A.MODIFIABLE, A.COPYABLE, A.DECRYPT)
            )
            assert set(held.values()) == {False}
        finally:
            thief.finalize()
            beta.close()


def _second_process(folder):
    """The same tokens in another copy of the library, which has a life of its own as another process has."""
    copy = folder / "thief.so"
    shutil.copyfile(folder / "libsofthsm2-copy.so", copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", os.fspath(folder / "softhsm2.conf"))
        return Module.load(str(copy))


def _logged_in(module, label):
    slot = next(slot for slot in module.slots() if module.token_info(slot).label == label)
    session = module.open_session(slot)
    with suppress(CryptokiError):
        module.login(session, UserType.USER, PIN.reveal())
    return session


@pytest.mark.parametrize(
    ("error", "at"), [(SessionHandleInvalidError, 2), (DeviceError, 3), (GeneralError, 4)]
)
def test_nothing_stays_of_transport_keys_that_could_not_be_wrapped_for_the_others(
    module, monkeypatch, error, at
):
    officer = opened(module, new_token(module), Role.SECURITY_OFFICER)
    beta = opened(module, new_token(module))
    calls = count(1)

    def failing(self, session, mechanism, **keys):
        if next(calls) == at:
            raise error(function="C_WrapKey")
        return wrap_key(self, session, mechanism, **keys)

    wrap_key = Module.wrap_key
    monkeypatch.setattr(Module, "wrap_key", failing)
    try:
        offer = beta.transport.offer(b"an offer of beta")
        names = [TransportName(random_bytes(16), kind) for kind in (TransportKind.AES, TransportKind.MAC)]
        with pytest.raises(HsmError, match=r"C_WrapKey|CKR_"):
            officer.transport.make_keys(names, "t", mechanism=offer.mechanisms[0], targets=[offer.spki_der])
        assert officer.list_objects() == []
    finally:
        beta.close()
        officer.close()


def test_a_token_that_drops_a_template_gets_no_transport_key(module, monkeypatch):
    unwrap_key = Module.unwrap_key

    def forgetful(self, session, mechanism, *, unwrapping_key, wrapped, template):
        kept = {
            name: value
            for name, value in template.items()
            if name not in (A.UNWRAP_TEMPLATE, A.WRAP_TEMPLATE)
        }
        return unwrap_key(
            self, session, mechanism, unwrapping_key=unwrapping_key, wrapped=wrapped, template=kept
        )

    label, beta = new_token(module), opened(module, new_token(module))
    offer = beta.transport.offer(b"an offer of beta")
    names = [TransportName(random_bytes(16), TransportKind.AES)]
    officer = opened(module, label, Role.SECURITY_OFFICER)
    (blobs,) = officer.transport.make_keys(names, "t", mechanism=PAD, targets=[offer.spki_der])
    monkeypatch.setattr(Module, "unwrap_key", forgetful)
    others = [TransportName(random_bytes(16), TransportKind.AES)]
    with pytest.raises(HsmError, match="CKA_WRAP_TEMPLATE"):
        officer.transport.make_keys(others, "t", mechanism=PAD, targets=[])
    assert len(officer.list_objects()) == 1
    with pytest.raises(HsmError, match="CKA_UNWRAP_TEMPLATE"):
        beta.transport.take_keys(b"an offer of beta", names, "t", mechanism=PAD, wrapped=blobs)
    assert beta.list_objects() == []
    officer.close()
    beta.close()
