"""``hsm.cryptoki`` on NSS softokn: a PKCS#11 3.0 module that differs from SoftHSM in many ways."""

from pathlib import Path

import pytest

from strongroom.hsm.cryptoki import (
    AesGcm,
    AesKeyGen,
    ArgumentsBadError,
    Attribute,
    EncryptedDataInvalidError,
    MechanismFlag,
    Module,
    ModuleContractError,
    ObjectClass,
    OperationCancelFailedError,
    RsaKeyPairGen,
)

CANDIDATES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
NO_DATABASE = "configdir='' certPrefix='' keyPrefix='' secmod='' flags=noCertDB,noModDB"
A = Attribute
GCM = AesGcm(b"i" * 12, b"aad")


@pytest.fixture(scope="module")
def library():
    found = [path for folder in CANDIDATES if (path := Path(folder, "libsoftokn3.so")).is_file()]
    return str(found[0]) if found else pytest.skip("NSS softokn is missing: install the package libnss3")


@pytest.fixture(scope="module")
def module(library):
    with pytest.raises(ArgumentsBadError):
        Module.load(library)  # it wants its parameter string
    loaded = Module.load(library, library_parameters=NO_DATABASE)
    yield loaded
    loaded.finalize()


@pytest.fixture
def session(module):
    opened = module.open_session(module.slots()[0])
    yield opened
    module.close_session(opened)


@pytest.fixture
def key(module, session):
    template = {A.CLASS: ObjectClass.SECRET_KEY, A.VALUE_LEN: 32, A.TOKEN: False, A.ENCRYPT: True,
                A.DECRYPT: True, A.SENSITIVE: True, A.EXTRACTABLE: False, A.LABEL: "key"}  # fmt: skip
    return module.generate_key(session, AesKeyGen(), template)


def test_its_interface_3_0_is_found(module):
    assert module.library_info().cryptoki_version.major == 3
    assert module.has_function("C_MessageEncryptInit")
    assert not module.has_function("C_EncapsulateKey")


def test_gcm_works_although_its_size_query_would_lie(module, session, key):
    # Asked for the size, it says 32 for what has 48 bytes; a big buffer never asks.
    ciphertext = module.encrypt(session, GCM, key, b"d" * 32)
    assert len(ciphertext) == 48
    assert module.decrypt(session, GCM, key, ciphertext) == b"d" * 32


def test_a_changed_ciphertext_is_refused_by_name(module, session, key):
    ciphertext = module.encrypt(session, GCM, key, b"data")
    with pytest.raises(EncryptedDataInvalidError):
        module.decrypt(session, GCM, key, ciphertext[:-1] + bytes([ciphertext[-1] ^ 1]))
    assert module.decrypt(session, GCM, key, ciphertext) == b"data"


def test_cancelling_nothing_is_refused(module, session):
    with pytest.raises(OperationCancelFailedError):
        module.session_cancel(session, MechanismFlag.ENCRYPT)


def test_attributes_it_hides_or_lacks_are_absent(module, session, key):
    wanted = [A.LABEL, A.SENSITIVE, A.EXTRACTABLE, A.VALUE, A.MODULUS, A.UNIQUE_ID]
    assert module.get_attributes(session, key, wanted) == {
        A.LABEL: "key", A.SENSITIVE: True, A.EXTRACTABLE: False,
    }  # fmt: skip


def test_a_template_that_it_stored_as_plain_bytes_is_not_taken_for_one(module, session):
    private = {A.TOKEN: False, A.SENSITIVE: True, A.UNWRAP: True, A.UNWRAP_TEMPLATE: {A.SENSITIVE: True}}
    public = {A.TOKEN: False, A.MODULUS_BITS: 2048, A.PUBLIC_EXPONENT: b"\x01\x00\x01"}
    _, key = module.generate_key_pair(session, RsaKeyPairGen(), public=public, private=private)
    # Even a pointer of its own may come back, once the memory behind it was given to us again.
    for _ in range(3):
        with pytest.raises(ModuleContractError, match="pointers"):
            module.get_attributes(session, key, [A.UNWRAP_TEMPLATE])
