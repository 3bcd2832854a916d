"""Software keys as session objects of a token, so that both can do the same thing and be compared."""

from strongroom.hsm.cryptoki import Attribute, KeyType, ObjectClass

A = Attribute
P256 = bytes.fromhex("06082a8648ce3d030107")
P384 = bytes.fromhex("06052b81040022")
ED25519 = bytes.fromhex("06032b6570")


def secret_key(user, value, key_type=KeyType.AES, **changed):
    """A secret key that may do anything and be read again."""
    uses = ("ENCRYPT", "DECRYPT", "WRAP", "UNWRAP", "SIGN", "VERIFY", "DERIVE")
    template = {A.CLASS: ObjectClass.SECRET_KEY, A.KEY_TYPE: key_type, A.TOKEN: False, A.VALUE: value,
                A.SENSITIVE: False, A.EXTRACTABLE: True}  # fmt: skip
    template |= {A[use]: True for use in uses} | {A[name]: item for name, item in changed.items()}
    return user.module.create_object(user.session, template)


def _number(value):
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def rsa_public(user, key):
    """The object of a pyca RSA public key."""
    numbers = key.public_numbers()
    return user.module.create_object(user.session, {
        A.CLASS: ObjectClass.PUBLIC_KEY, A.KEY_TYPE: KeyType.RSA, A.TOKEN: False, A.ENCRYPT: True,
        A.VERIFY: True, A.WRAP: True, A.MODULUS: _number(numbers.n), A.PUBLIC_EXPONENT: _number(numbers.e),
    })  # fmt: skip


def rsa_private(user, key):
    """The object of a pyca RSA private key."""
    n = key.private_numbers()
    public = n.public_numbers
    return user.module.create_object(user.session, {
        A.CLASS: ObjectClass.PRIVATE_KEY, A.KEY_TYPE: KeyType.RSA, A.TOKEN: False, A.DECRYPT: True,
        A.SIGN: True, A.UNWRAP: True, A.MODULUS: _number(public.n), A.PUBLIC_EXPONENT: _number(public.e),
        A.PRIVATE_EXPONENT: _number(n.d), A.PRIME_1: _number(n.p), A.PRIME_2: _number(n.q),
        A.EXPONENT_1: _number(n.dmp1), A.EXPONENT_2: _number(n.dmq1), A.COEFFICIENT: _number(n.iqmp),
    })  # fmt: skip


def curve_public(user, curve_oid, point, key_type=KeyType.EC):
    """The object of a public key on a curve; CKA_EC_POINT is the point in a DER OCTET STRING."""
    return user.module.create_object(user.session, {
        A.CLASS: ObjectClass.PUBLIC_KEY, A.KEY_TYPE: key_type, A.TOKEN: False, A.VERIFY: True,
        A.EC_PARAMS: curve_oid, A.EC_POINT: b"\x04" + der_length(len(point)) + point,
    })  # fmt: skip


def der_length(size):
    """DER, up to 255."""
    return bytes([size]) if size < 128 else bytes([0x81, size])
