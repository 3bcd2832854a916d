"""How ``Module`` deals with modules that refuse, lie, or want a bigger buffer.

The module here is written in Python: its functions get the very C structures that a library would get.
"""

import pytest

from strongroom.hsm.cryptoki import (
    AesCmac,
    AesGcm,
    AesKwp,
    Attribute,
    BufferTooSmallError,
    DeviceError,
    EncryptedDataInvalidError,
    FunctionNotSupportedError,
    GeneralError,
    MechanismFlag,
    Module,
    ModuleContractError,
    PinIncorrectError,
    Sha2,
    UserType,
)
from strongroom.hsm.cryptoki._declarations import UNAVAILABLE_INFORMATION, ffi
from strongroom.hsm.cryptoki._library import Library

OK, GENERAL, DEVICE, TOO_SMALL, SENSITIVE, TYPE_INVALID = 0, 5, 0x30, 0x150, 0x11, 0x12
GCM = AesGcm(b"i" * 12, b"aad")


def module_of(**functions):
    return Module(Library("/nowhere", None, functions))


def accept(*_arguments):
    return OK


def answering(answer, returned=OK):
    """A single-part function that writes ``answer`` if it fits."""

    def function(_session, _data, _size, output, length):
        if length[0] < len(answer):
            length[0] = len(answer)
            return TOO_SMALL
        ffi.memmove(output, answer, len(answer))
        length[0] = len(answer)
        return returned

    return function


def lying(_session, _data, _size, _output, length):
    length[0] = 10**6
    return OK


def test_a_function_that_the_module_lacks_is_not_supported():
    module = module_of()
    assert not module.has_function("C_SessionCancel")
    with pytest.raises(FunctionNotSupportedError):
        module.session_cancel(1, MechanismFlag.ENCRYPT)


def test_cancelling_names_the_operations():
    seen = []
    module = module_of(C_SessionCancel=lambda *arguments: seen.append(arguments) or OK)
    module.session_cancel(7, MechanismFlag.ENCRYPT | MechanismFlag.SIGN)
    assert module.has_function("C_SessionCancel")
    assert seen == [(7, 0x900)]


def test_a_refused_init_calls_nothing_more():
    module = module_of(C_EncryptInit=lambda *_: DEVICE, C_DecryptInit=lambda *_: GENERAL)
    with pytest.raises(DeviceError, match="C_EncryptInit"):
        module.encrypt(1, GCM, 1, b"data")
    with pytest.raises(GeneralError, match="C_DecryptInit"):
        module.decrypt(1, GCM, 1, b"data")


BIG = bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("module", "call"),
    [
        (
            module_of(C_EncryptInit=accept, C_Encrypt=answering(BIG)),
            lambda m: m.encrypt(1, GCM, 1, b"data"),
        ),
        (
            module_of(C_DecryptInit=accept, C_Decrypt=answering(BIG)),
            lambda m: m.decrypt(1, GCM, 1, b"data"),
        ),
        (module_of(C_SignInit=accept, C_Sign=answering(BIG)), lambda m: m.sign(1, AesCmac(), 1, b"data")),
        (
            module_of(C_DigestInit=accept, C_Digest=answering(BIG)),
            lambda m: m.digest(1, Sha2(256), b"data"),
        ),
        (
            module_of(C_WrapKey=lambda s, _m, w, k, output, length: answering(BIG)(s, w, k, output, length)),
            lambda m: m.wrap_key(1, AesKwp(), wrapping_key=1, key=2),
        ),
    ],
)
def test_an_answer_that_does_not_fit_is_asked_for_again_with_enough_room(module, call):
    assert call(module) == BIG


def test_an_operation_that_never_finds_its_buffer_big_enough_is_cancelled():
    cancelled = []

    def never(_session, _data, _size, _output, length):
        length[0] *= 2
        return TOO_SMALL

    module = module_of(
        C_EncryptInit=accept,
        C_Encrypt=never,
        C_SessionCancel=lambda *arguments: cancelled.append(arguments) or OK,
    )
    with pytest.raises(BufferTooSmallError):
        module.encrypt(3, GCM, 1, b"data")
    assert cancelled == [(3, MechanismFlag.ENCRYPT)]


@pytest.mark.parametrize(
    ("functions", "call"),
    [
        (("C_EncryptInit", "C_Encrypt"), lambda m: m.encrypt(1, GCM, 1, b"data")),
        (("C_EncryptInit", "C_Encrypt"), lambda m: m.encrypt(1, GCM, 1, bytes(5000))),
        (("C_DecryptInit", "C_Decrypt"), lambda m: m.decrypt(1, GCM, 1, b"data")),
        (("C_SignInit", "C_Sign"), lambda m: m.sign(1, AesCmac(), 1, b"data")),
    ],
)
def test_a_length_beyond_the_buffer_is_never_believed(functions, call):
    with pytest.raises(ModuleContractError):
        call(module_of(**{functions[0]: accept, functions[1]: lying}))


@pytest.mark.parametrize("size", [32, 5000])
@pytest.mark.parametrize("aad", [b"", b"a", b"a" * 1024, b"a" * 5000])
def test_the_module_sees_the_parameter_whatever_its_size_and_whatever_came_before(size, aad):
    seen = []

    def init(_session, mechanism, key):
        gcm = ffi.cast("CK_GCM_PARAMS *", mechanism.pParameter)
        aad_seen = ffi.buffer(gcm.pAAD, gcm.ulAADLen)[:] if gcm.ulAADLen else gcm.pAAD == ffi.NULL
        iv = ffi.buffer(gcm.pIv, gcm.ulIvLen)[:]
        seen.append((mechanism.mechanism, iv, gcm.ulIvBits, aad_seen, gcm.ulTagBits, key))
        return OK

    module = module_of(C_EncryptInit=init, C_Encrypt=answering(bytes(size)))
    for mechanism in (AesGcm(b"x" * 200, b"before", 96), AesGcm(b"i" * 12, aad)):
        module.encrypt(1, mechanism, 9, bytes(size))
    assert seen[1] == (0x1087, b"i" * 12, 96, aad or True, 128, 9)


def replacing_iv(_session, mechanism, _key):
    gcm = ffi.cast("CK_GCM_PARAMS *", mechanism.pParameter)
    ffi.memmove(gcm.pIv, b"token's  iv!", 12)
    return OK


def test_an_iv_that_the_token_replaced_is_never_lost():
    module = module_of(C_EncryptInit=replacing_iv, C_Encrypt=answering(b"ciphertext"))
    with pytest.raises(ModuleContractError, match="IV"):
        module.encrypt(1, GCM, 1, b"data")
    assert module.encrypt_reporting_iv(1, AesGcm(bytes(12)), 1, b"data") == (b"token's  iv!", b"ciphertext")


def test_an_iv_that_the_token_replaced_when_it_wrapped_is_refused():
    def wrap(session, mechanism, _wrapping_key, _key, output, length):
        replacing_iv(session, mechanism, 0)
        return answering(b"wrapped")(session, b"", 0, output, length)

    module = module_of(C_WrapKey=wrap)
    with pytest.raises(ModuleContractError, match="IV"):
        module.wrap_key(1, GCM, wrapping_key=1, key=2)
    assert module.wrap_key(1, AesGcm(b"token's  iv!"), wrapping_key=1, key=2) == b"wrapped"


def test_a_call_within_a_call_has_buffers_of_its_own():
    # As when a signal handler, or a finalizer that the garbage collector runs, uses the module in mid-call.
    depth = []

    def encrypt(_session, data, size, output, length):
        plain = data[:size]
        if not depth:
            depth.append(1)
            assert module.encrypt(1, AesGcm(b"other" * 3, b"other"), 1, b"inner") == b"INNER"
        ffi.memmove(output, plain.upper(), size)
        length[0] = size
        return OK

    module = module_of(C_EncryptInit=accept, C_Encrypt=encrypt)
    assert module.encrypt(1, GCM, 1, b"outer") == b"OUTER"


@pytest.mark.parametrize("returned", [OK, 0x40])
def test_no_plaintext_stays_in_the_buffer(returned):
    buffers = []

    def decrypt(session, data, size, output, length):
        buffers.append(output)
        return answering(b"plaintext", returned)(session, data, size, output, length)

    module = module_of(C_DecryptInit=accept, C_Decrypt=decrypt)
    if returned:
        with pytest.raises(EncryptedDataInvalidError):
            module.decrypt(1, GCM, 1, b"data")
    else:
        assert module.decrypt(1, GCM, 1, b"data") == b"plaintext"
    assert ffi.buffer(buffers[0], 9)[:] == bytes(9)


def test_no_pin_stays_in_the_buffer_even_when_it_is_refused():
    seen = []

    def login(_session, user, pin, length):
        seen.append((user, pin, ffi.buffer(pin, length)[:]))
        return 0xA0

    with pytest.raises(PinIncorrectError) as raised:
        module_of(C_Login=login).login(1, UserType.USER, b"secret-pin")
    ((user, buffer, pin),) = seen
    assert (user, pin) == (1, b"secret-pin")
    assert ffi.buffer(buffer, 10)[:] == bytes(10)
    assert "secret" not in repr(raised.value)


def test_a_pin_pad_gets_a_null_pointer_of_length_zero():
    module = module_of(C_Login=lambda _s, _u, pin, n: OK if (pin == ffi.NULL and n == 0) else GENERAL)
    module.login(1, UserType.USER, None)


def test_a_search_is_always_ended():
    ended = []
    functions = {
        "C_FindObjectsInit": accept,
        "C_FindObjectsFinal": lambda session: ended.append(session) or OK,
    }
    module = module_of(**functions, C_FindObjects=lambda *_: DEVICE)
    with pytest.raises(DeviceError):
        module.find_objects(5, {})

    def too_many(_session, _handles, room, count):
        count[0] = room + 1
        return OK

    with pytest.raises(ModuleContractError):
        module_of(**functions, C_FindObjects=too_many).find_objects(6, {})
    assert ended == [5, 6]


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (255, 255), (256, 256), (300, 300), (5000, 600)])
def test_a_search_stops_at_its_limit(limit, expected):
    left = list(range(600))

    def find(_session, handles, room, count):
        batch, left[:] = left[:room], left[room:]
        for index, handle in enumerate(batch):
            handles[index] = handle
        count[0] = len(batch)
        return OK

    module = module_of(C_FindObjectsInit=accept, C_FindObjects=find, C_FindObjectsFinal=accept)
    assert module.find_objects(1, {}, limit=limit) == list(range(expected))


def attribute_store(store):
    """C_GetAttributeValue over a dict; None is sensitive, absent is of no such type."""

    def read(_session, _obj, template, count):
        worst = OK
        for entry in template[0:count]:
            if entry.type not in store or store[entry.type] is None:
                worst = SENSITIVE if entry.type in store else TYPE_INVALID
                entry.ulValueLen = UNAVAILABLE_INFORMATION
            elif entry.pValue == ffi.NULL:
                entry.ulValueLen = len(store[entry.type])
            elif entry.ulValueLen < len(store[entry.type]):
                worst = TOO_SMALL
                entry.ulValueLen = UNAVAILABLE_INFORMATION
            else:
                ffi.memmove(entry.pValue, store[entry.type], len(store[entry.type]))
                entry.ulValueLen = len(store[entry.type])
        return worst

    return module_of(C_GetAttributeValue=read)


def test_attributes_that_are_hidden_or_missing_are_absent():
    module = attribute_store({Attribute.ID: b"id", Attribute.VALUE: None, Attribute.TOKEN: b"\x01"})
    wanted = [Attribute.VALUE, Attribute.ID, Attribute.MODULUS, Attribute.TOKEN, Attribute.ID]
    assert module.get_attributes(1, 1, wanted) == {Attribute.ID: b"id", Attribute.TOKEN: True}
    assert module.get_attributes(1, 1, []) == {}


@pytest.mark.parametrize("attribute", Attribute)
def test_an_attribute_that_the_module_never_wrote_is_absent(attribute):
    for returned in (OK, SENSITIVE, TYPE_INVALID):
        module = module_of(C_GetAttributeValue=lambda *_, returned=returned: returned)
        assert module.get_attributes(1, 1, [attribute, Attribute.EXTRACTABLE]) == {}


def test_attributes_longer_than_usual_are_read_whole():
    module = attribute_store({Attribute.ID: b"id", Attribute.VALUE: BIG, Attribute.SUBJECT: None})
    answer = module.get_attributes(1, 1, [Attribute.ID, Attribute.VALUE, Attribute.SUBJECT])
    assert answer == {Attribute.ID: b"id", Attribute.VALUE: BIG}


def test_an_attribute_of_an_impossible_length_is_refused():
    module = attribute_store({Attribute.VALUE: bytes(1024 * 1024 + 1)})
    with pytest.raises(ModuleContractError):
        module.get_attributes(1, 1, [Attribute.VALUE])
    with pytest.raises(ModuleContractError):
        attribute_store({Attribute.TOKEN: b""}).get_attributes(1, 1, [Attribute.TOKEN])


def test_lists_grow_with_the_module():
    def mechanisms(_slot, numbers, count):
        if count[0] < 2000:
            count[0] = 2000
            return TOO_SMALL
        numbers[0:2000] = list(range(2000))
        count[0] = 2000
        return OK

    assert module_of(C_GetMechanismList=mechanisms).mechanisms(1) == frozenset(range(2000))
