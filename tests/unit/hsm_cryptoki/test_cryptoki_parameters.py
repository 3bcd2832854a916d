"""Arguments out of their bounds are refused before any C function is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.hsm.cryptoki import (
    AesCbc,
    AesCbcPad,
    AesCmac,
    AesCtr,
    AesEcb,
    AesGcm,
    AesKeyGen,
    AesKeyWrap,
    AesKeyWrapPad,
    AesKwp,
    Attribute,
    EcdhDerive,
    Ecdsa,
    EcEdwardsKeyPairGen,
    EcKeyPairGen,
    Eddsa,
    GenericSecretKeyGen,
    HashAlgorithm,
    Hmac,
    MechanismType,
    Module,
    ParameterError,
    RsaAesKeyWrap,
    RsaKeyPairGen,
    RsaOaep,
    RsaPkcs,
    RsaPss,
    Sha2,
    UserType,
    VendorMechanism,
)
from strongroom.hsm.cryptoki._declarations import ULONG_MAX, ffi
from strongroom.hsm.cryptoki._library import Library

H = HashAlgorithm
NOT_ULONGS = st.one_of(
    st.integers(max_value=-1), st.integers(min_value=ULONG_MAX + 1), st.text(), st.none(), st.booleans()
)
NOT_BYTES = st.one_of(
    st.text(), st.none(), st.integers(), st.binary().map(bytearray), st.lists(st.integers(0, 255))
)


def called(*_arguments):
    raise AssertionError("the module was called")


@pytest.fixture(scope="module")
def module():
    """A module whose every function fails the test when it is called."""
    everything = Library("/nowhere", None, {}).functions
    return Module(Library("/nowhere", None, dict.fromkeys(everything, called)))


GCM = AesGcm(b"i" * 12)
OPERATIONS = {
    "encrypt": lambda m, s, k, d: m.encrypt(s, GCM, k, d),
    "encrypt reporting the IV": lambda m, s, k, d: m.encrypt_reporting_iv(s, GCM, k, d),
    "encrypt CBC": lambda m, s, k, d: m.encrypt(s, AesCbc(bytes(16)), k, d),
    "decrypt": lambda m, s, k, d: m.decrypt(s, GCM, k, d),
    "sign": lambda m, s, k, d: m.sign(s, AesCmac(), k, d),
    "verify": lambda m, s, k, d: m.verify(s, AesCmac(), k, d, b"mac"),
    "verify the signature's type": lambda m, s, k, d: m.verify(s, AesCmac(), k, b"", d),
    "unwrap": lambda m, s, k, d: m.unwrap_key(s, AesKwp(), unwrapping_key=k, wrapped=d, template={}),
    "decapsulate": lambda m, s, k, d: m.decapsulate_key(
        s, AesKwp(), private_key=k, ciphertext=d, template={}
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_operations_refuse_handles_and_data_that_c_cannot_hold(module, operation):
    @given(NOT_ULONGS)
    def refuses_handle(handle):
        for session, key in ((handle, 1), (1, handle)):
            with pytest.raises(ParameterError):
                operation(module, session, key, b"data")

    @given(NOT_BYTES)
    def refuses_data(data):
        with pytest.raises(ParameterError):
            operation(module, 1, 1, data)

    refuses_handle()
    refuses_data()
    with pytest.raises(ParameterError):
        operation(module, 1, 1, bytes(16 * 1024 * 1024 + 1))


OTHERS = {
    "token_info": lambda m, h: m.token_info(h),
    "slot_info": lambda m, h: m.slot_info(h),
    "mechanisms": lambda m, h: m.mechanisms(h),
    "mechanism_info slot": lambda m, h: m.mechanism_info(h, 1),
    "mechanism_info": lambda m, h: m.mechanism_info(1, h),
    "init_token": lambda m, h: m.init_token(h, b"1234", "label"),
    "open_session": lambda m, h: m.open_session(h),
    "close_session": lambda m, h: m.close_session(h),
    "close_all_sessions": lambda m, h: m.close_all_sessions(h),
    "session_info": lambda m, h: m.session_info(h),
    "login": lambda m, h: m.login(h, UserType.USER, b"1234"),
    "logout": lambda m, h: m.logout(h),
    "init_pin": lambda m, h: m.init_pin(h, b"1234"),
    "set_pin": lambda m, h: m.set_pin(h, b"1234", b"5678"),
    "generate_random": lambda m, h: m.generate_random(h, 8),
    "find_objects": lambda m, h: m.find_objects(h, {}),
    "get_attributes session": lambda m, h: m.get_attributes(h, 1, [Attribute.ID]),
    "get_attributes": lambda m, h: m.get_attributes(1, h, [Attribute.ID]),
    "set_attributes": lambda m, h: m.set_attributes(1, h, {}),
    "create_object": lambda m, h: m.create_object(h, {}),
    "copy_object": lambda m, h: m.copy_object(1, h, {}),
    "destroy_object": lambda m, h: m.destroy_object(1, h),
    "generate_key": lambda m, h: m.generate_key(h, AesKeyGen(), {}),
    "generate_key_pair": lambda m, h: m.generate_key_pair(h, EcKeyPairGen(), public={}, private={}),
    "wrap_key": lambda m, h: m.wrap_key(1, AesKwp(), wrapping_key=h, key=1),
    "wrap_key key": lambda m, h: m.wrap_key(1, AesKwp(), wrapping_key=1, key=h),
    "derive_key": lambda m, h: m.derive_key(1, EcdhDerive(b"p"), base_key=h, template={}),
    "encapsulate_key": lambda m, h: m.encapsulate_key(1, AesKwp(), public_key=h, template={}),
    "digest": lambda m, h: m.digest(h, Sha2(256), b""),
}


@pytest.mark.parametrize("call", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("handle", [-1, ULONG_MAX + 1, None, "1", True])
def test_calls_refuse_handles_that_c_cannot_hold(module, call, handle):
    with pytest.raises(ParameterError):
        call(module, handle)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.generate_random(1, 0),
        lambda m: m.generate_random(1, 1024 * 1024 + 1),
        lambda m: m.find_objects(1, {}, limit=0),
        lambda m: m.init_token(1, b"1234", ""),
        lambda m: m.init_token(1, b"1234", "x" * 33),
        lambda m: m.init_token(1, b"1234", "ü" * 17),
        lambda m: m.init_token(1, "1234", "label"),
        lambda m: m.login(1, UserType.USER, "1234"),
        lambda m: m.login(1, UserType.USER, bytes(1025)),
        lambda m: m.set_pin(1, b"1234", bytes(1025)),
        lambda m: m.get_attributes(1, 1, [3]),
        lambda m: m.encrypt(1, 0x1087, 1, b""),
        lambda m: m.encrypt_reporting_iv(1, AesCbc(bytes(16)), 1, b""),
        lambda m: m.generate_key(1, AesKeyGen(), {Attribute.TOKEN: 1}),
        lambda m: m.create_object(1, {Attribute.VALUE: "text"}),
        lambda m: m.unwrap_key(1, AesKwp(), unwrapping_key=1, wrapped=b"", template={}),
    ],
)
def test_other_arguments_out_of_bounds_are_refused(module, call):
    with pytest.raises(ParameterError):
        call(module)


@given(
    iv=st.one_of(st.binary(max_size=300), NOT_BYTES),
    aad=st.one_of(st.binary(max_size=40), NOT_BYTES),
    tag_bits=st.integers(0, 160),
)
def test_gcm_takes_exactly_what_the_specification_allows(iv, aad, tag_bits):
    allowed = (
        isinstance(iv, bytes)
        and 1 <= len(iv) <= 256
        and isinstance(aad, bytes)
        and tag_bits in {96, 104, 112, 120, 128}
    )
    if not allowed:
        with pytest.raises(ParameterError):
            AesGcm(iv, aad, tag_bits)
        return
    mechanism = AesGcm(iv, aad, tag_bits).build()[0]
    gcm = ffi.cast("CK_GCM_PARAMS *", mechanism.pParameter)
    assert ffi.buffer(gcm.pIv, gcm.ulIvLen)[:] == iv
    assert gcm.ulIvBits == 8 * len(iv)
    assert (gcm.pAAD == ffi.NULL) == (gcm.ulAADLen == 0)
    assert gcm.ulAADLen == len(aad)
    assert gcm.pAAD == ffi.NULL or ffi.buffer(gcm.pAAD, gcm.ulAADLen)[:] == aad


@pytest.mark.parametrize(
    "make",
    [
        lambda: AesGcm(b""),
        lambda: AesGcm(b"i" * 12, bytes(1024 * 1024 + 1)),
        lambda: AesGcm(b"i" * 12, tag_bits=127),
        lambda: AesGcm(b"i" * 12, tag_bits="128"),
        lambda: AesCbc(b"i" * 15),
        lambda: AesCbcPad(bytearray(16)),
        lambda: AesCtr(bytes(16), 0),
        lambda: AesCtr(bytes(16), 129),
        lambda: AesCtr(bytes(8)),
        lambda: AesGcm(b"i" * 12, is_iv_from_token=True),
        lambda: AesGcm(b"i" * 12, vendor_number=MechanismType.AES_GCM),
        lambda: AesKeyWrap(b""),
        lambda: AesKeyWrap(b"i" * 7),
        lambda: Hmac(255),
        lambda: Sha2(0),
        lambda: RsaPss("SHA256", 32, True),
        lambda: RsaPss(H.SHA256, -1, True),
        lambda: RsaPss(H.SHA256, 1025, True),
        lambda: RsaOaep(MechanismType.SHA256),
        lambda: RsaOaep(H.SHA256, None),
        lambda: RsaOaep(H.SHA256, bytes(4097)),
        lambda: RsaAesKeyWrap(H.SHA256),
        lambda: RsaAesKeyWrap(RsaOaep(H.SHA256), 255),
        lambda: RsaPkcs("SHA256"),
        lambda: Ecdsa(256),
        lambda: EcdhDerive(b""),
        lambda: VendorMechanism(MechanismType.AES_GCM, b"x"),
        lambda: VendorMechanism(0x100000000),
        lambda: VendorMechanism(0x80000001, None),
    ],
)
def test_a_mechanism_refuses_a_parameter_out_of_bounds_when_it_is_made(make):
    with pytest.raises(ParameterError):
        make()


# Number and parameter size of every mechanism with valid parameters (a CK_ULONG has 8 bytes here).
BUILT = [
    (AesGcm(b"i"), 0x1087, 48), (AesCbc(bytes(16)), 0x1082, 16), (AesCbcPad(bytes(16)), 0x1085, 16),
    (AesCtr(bytes(16)), 0x1086, 24), (AesEcb(), 0x1081, 0), (AesKeyWrap(), 0x2109, 0),
    (AesKeyWrap(bytes(8)), 0x2109, 8), (AesKeyWrapPad(), 0x210A, 0), (AesKwp(), 0x210B, 0),
    (AesCmac(), 0x108A, 0), (Sha2(224), 0x255, 0), (Sha2(256), 0x250, 0), (Sha2(384), 0x260, 0),
    (Sha2(512), 0x270, 0), (Hmac(224), 0x256, 0), (Hmac(256), 0x251, 0), (Hmac(384), 0x261, 0),
    (Hmac(512), 0x271, 0), (AesKeyGen(), 0x1080, 0), (GenericSecretKeyGen(), 0x350, 0), (RsaPkcs(), 1, 0),
    (RsaPkcs(H.SHA256), 0x40, 0), (RsaPkcs(H.SHA3_512), 0x62, 0), (RsaPss(H.SHA256, 32, True), 0x43, 24),
    (RsaPss(H.SHA512, 64, False), 0xD, 24), (RsaOaep(H.SHA1), 9, 40), (RsaOaep(H.SHA256, b"l"), 9, 40),
    (RsaAesKeyWrap(RsaOaep(H.SHA256, b"l")), 0x1054, 16), (Ecdsa(), 0x1041, 0), (Ecdsa(H.SHA384), 0x1045, 0),
    (Eddsa(), 0x1057, 0), (EcdhDerive(b"p"), 0x1050, 40), (RsaKeyPairGen(), 0, 0), (EcKeyPairGen(), 0x1040, 0),
    (EcEdwardsKeyPairGen(), 0x1055, 0), (VendorMechanism(0x80000170), 0x80000170, 0),
    (VendorMechanism(0x80000170, b"abc"), 0x80000170, 3),
]  # fmt: skip


@pytest.mark.parametrize(("mechanism", "number", "size"), BUILT, ids=lambda value: str(value)[:40])
def test_a_mechanism_is_built_with_its_number_and_a_parameter_of_its_size(mechanism, number, size):
    built = mechanism.build()[0]
    assert (mechanism.number, built.mechanism, built.ulParameterLen) == (number, number, size)
    assert (built.pParameter == ffi.NULL) == (size == 0)


@pytest.mark.parametrize("hash_algorithm", H)
def test_pss_and_oaep_use_one_hash_throughout(hash_algorithm):
    pss = RsaPss(hash_algorithm, 20, False).build()
    oaep = RsaAesKeyWrap(RsaOaep(hash_algorithm, b"label"), 256).build()
    pss_fields = ffi.cast("CK_RSA_PKCS_PSS_PARAMS *", pss[0].pParameter)
    wrap_fields = ffi.cast("CK_RSA_AES_KEY_WRAP_PARAMS *", oaep[0].pParameter)
    oaep_fields = wrap_fields.pOAEPParams
    for fields in (pss_fields, oaep_fields):
        assert (fields.hashAlg, fields.mgf) == (hash_algorithm.mechanism_type, hash_algorithm.mgf1)
    assert MechanismType(pss_fields.hashAlg).name.replace("SHA_1", "SHA1") == hash_algorithm.name
    assert (oaep_fields.source, oaep_fields.ulSourceDataLen) == (1, 5)
    assert ffi.buffer(ffi.cast("CK_BYTE *", oaep_fields.pSourceData), 5)[:] == b"label"
    assert wrap_fields.ulAESKeyBits == 256


def test_gcm_of_a_vendor_whose_token_makes_the_iv_has_its_number_and_no_iv():
    mechanism, parameter, iv, _ = AesGcm(b"", b"aad", vendor_number=0x80001087, is_iv_from_token=True).build()
    assert (mechanism.mechanism, parameter.ulIvLen, parameter.ulIvBits) == (0x80001087, 0, 0)
    assert not iv
    assert not parameter.pIv
