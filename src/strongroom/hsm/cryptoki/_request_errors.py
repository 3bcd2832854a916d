"""One class per CKR_ code about what was asked: keys, objects, mechanisms, templates, data.

Source: PKCS#11 3.2 base specification, section 5.1 (return values). Handles belong here too, though a handle
that has become invalid can be found again.
"""

from strongroom.hsm.cryptoki._errors import CryptokiError


class ArgumentsBadError(CryptokiError, name="CKR_ARGUMENTS_BAD", code=0x7):
    """An argument is not what the function takes."""


class AttributeReadOnlyError(CryptokiError, name="CKR_ATTRIBUTE_READ_ONLY", code=0x10):
    """The attribute cannot be set (here, or by this user)."""


class AttributeSensitiveError(CryptokiError, name="CKR_ATTRIBUTE_SENSITIVE", code=0x11):
    """The attribute is secret and stays in the token."""


class AttributeTypeInvalidError(CryptokiError, name="CKR_ATTRIBUTE_TYPE_INVALID", code=0x12):
    """The object has no such attribute."""


class AttributeValueInvalidError(CryptokiError, name="CKR_ATTRIBUTE_VALUE_INVALID", code=0x13):
    """The attribute cannot have this value; SoftHSM says this of half-written objects."""


class ActionProhibitedError(CryptokiError, name="CKR_ACTION_PROHIBITED", code=0x1B):
    """The object's attributes forbid to copy, change or destroy it."""


class DataInvalidError(CryptokiError, name="CKR_DATA_INVALID", code=0x20):
    """The mechanism cannot take these data."""


class DataLenRangeError(CryptokiError, name="CKR_DATA_LEN_RANGE", code=0x21):
    """The mechanism cannot take data of this length."""


class EncryptedDataInvalidError(CryptokiError, name="CKR_ENCRYPTED_DATA_INVALID", code=0x40):
    """The ciphertext does not authenticate or has bad padding."""


class EncryptedDataLenRangeError(CryptokiError, name="CKR_ENCRYPTED_DATA_LEN_RANGE", code=0x41):
    """The ciphertext cannot have this length."""


class AeadDecryptFailedError(CryptokiError, name="CKR_AEAD_DECRYPT_FAILED", code=0x42):
    """The ciphertext does not authenticate."""


class KeyHandleInvalidError(CryptokiError, name="CKR_KEY_HANDLE_INVALID", code=0x60):
    """There is no such key (any more)."""


class KeySizeRangeError(CryptokiError, name="CKR_KEY_SIZE_RANGE", code=0x62):
    """The mechanism cannot take a key of this size."""


class KeyTypeInconsistentError(CryptokiError, name="CKR_KEY_TYPE_INCONSISTENT", code=0x63):
    """The key is of another type than the mechanism takes."""


class KeyNotNeededError(CryptokiError, name="CKR_KEY_NOT_NEEDED", code=0x64):
    """A key was given that is not needed."""


class KeyChangedError(CryptokiError, name="CKR_KEY_CHANGED", code=0x65):
    """The key is not the one that the saved state was made with."""


class KeyNeededError(CryptokiError, name="CKR_KEY_NEEDED", code=0x66):
    """The saved state needs a key."""


class KeyIndigestibleError(CryptokiError, name="CKR_KEY_INDIGESTIBLE", code=0x67):
    """The key cannot be hashed."""


class KeyFunctionNotPermittedError(CryptokiError, name="CKR_KEY_FUNCTION_NOT_PERMITTED", code=0x68):
    """The key's attributes do not permit this use."""


class KeyNotWrappableError(CryptokiError, name="CKR_KEY_NOT_WRAPPABLE", code=0x69):
    """The key may leave the token, but not this way: CKA_WRAP_WITH_TRUSTED, for one."""


class KeyUnextractableError(CryptokiError, name="CKR_KEY_UNEXTRACTABLE", code=0x6A):
    """The key may not leave the token: CKA_EXTRACTABLE is false."""


class MechanismInvalidError(CryptokiError, name="CKR_MECHANISM_INVALID", code=0x70):
    """The token does not have this mechanism, or not for this function."""


class MechanismParamInvalidError(CryptokiError, name="CKR_MECHANISM_PARAM_INVALID", code=0x71):
    """The mechanism cannot take this parameter."""


class ObjectHandleInvalidError(CryptokiError, name="CKR_OBJECT_HANDLE_INVALID", code=0x82):
    """There is no such object (any more)."""


class SignatureInvalidError(CryptokiError, name="CKR_SIGNATURE_INVALID", code=0xC0):
    """The signature or MAC is wrong."""


class SignatureLenRangeError(CryptokiError, name="CKR_SIGNATURE_LEN_RANGE", code=0xC1):
    """The signature cannot have this length: it is wrong."""


class TemplateIncompleteError(CryptokiError, name="CKR_TEMPLATE_INCOMPLETE", code=0xD0):
    """The template lacks an attribute that the object needs."""


class TemplateInconsistentError(CryptokiError, name="CKR_TEMPLATE_INCONSISTENT", code=0xD1):
    """The template's attributes contradict each other or the token's rules."""


class UnwrappingKeyHandleInvalidError(CryptokiError, name="CKR_UNWRAPPING_KEY_HANDLE_INVALID", code=0xF0):
    """There is no such unwrapping key (any more)."""


class UnwrappingKeySizeRangeError(CryptokiError, name="CKR_UNWRAPPING_KEY_SIZE_RANGE", code=0xF1):
    """The unwrapping key cannot have this size."""


class UnwrappingKeyTypeInconsistentError(
    CryptokiError, name="CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT", code=0xF2
):
    """The unwrapping key is of another type than the mechanism takes."""


class WrappedKeyInvalidError(CryptokiError, name="CKR_WRAPPED_KEY_INVALID", code=0x110):
    """The wrapped key does not authenticate or has the wrong form."""


class WrappedKeyLenRangeError(CryptokiError, name="CKR_WRAPPED_KEY_LEN_RANGE", code=0x112):
    """The wrapped key cannot have this length."""


class WrappingKeyHandleInvalidError(CryptokiError, name="CKR_WRAPPING_KEY_HANDLE_INVALID", code=0x113):
    """There is no such wrapping key (any more)."""


class WrappingKeySizeRangeError(CryptokiError, name="CKR_WRAPPING_KEY_SIZE_RANGE", code=0x114):
    """The wrapping key cannot have this size."""


class WrappingKeyTypeInconsistentError(CryptokiError, name="CKR_WRAPPING_KEY_TYPE_INCONSISTENT", code=0x115):
    """The wrapping key is of another type than the mechanism takes."""


class DomainParamsInvalidError(CryptokiError, name="CKR_DOMAIN_PARAMS_INVALID", code=0x130):
    """The token cannot take these domain parameters."""


class CurveNotSupportedError(CryptokiError, name="CKR_CURVE_NOT_SUPPORTED", code=0x140):
    """The token does not have this curve."""


class BufferTooSmallError(CryptokiError, name="CKR_BUFFER_TOO_SMALL", code=0x150):
    """The output does not fit in the buffer."""


class InformationSensitiveError(CryptokiError, name="CKR_INFORMATION_SENSITIVE", code=0x170):
    """The information is secret and stays in the token."""


class ExceededMaxIterationsError(CryptokiError, name="CKR_EXCEEDED_MAX_ITERATIONS", code=0x1B5):
    """The token gave up to find domain parameters."""


class PublicKeyInvalidError(CryptokiError, name="CKR_PUBLIC_KEY_INVALID", code=0x1B9):
    """The public key is not a valid one."""


class KeyExhaustedError(CryptokiError, name="CKR_KEY_EXHAUSTED", code=0x203):
    """A stateful signature key has no signatures left."""


class ParameterSetNotSupportedError(CryptokiError, name="CKR_PARAMETER_SET_NOT_SUPPORTED", code=0x209):
    """The token does not have this parameter set."""
