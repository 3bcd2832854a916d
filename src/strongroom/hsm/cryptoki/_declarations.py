"""The C side of PKCS#11, as cffi reads it: types, structures and the signatures of what we call.

Source: OASIS PKCS#11 2.40 base specification (structures, section 3) and 3.2 (the longer function lists). On
Linux structures have the platform's own alignment, no packing. Functions that we never call are ``void *`` in
the function list: their place matters, their signature does not.
"""

from typing import Final

from cffi import FFI

_TYPES: Final = """
typedef unsigned char CK_BYTE;
typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;

typedef struct { CK_BYTE major; CK_BYTE minor; } CK_VERSION;
typedef struct {
  CK_VERSION cryptokiVersion; CK_BYTE manufacturerID[32]; CK_ULONG flags;
  CK_BYTE libraryDescription[32]; CK_VERSION libraryVersion;
} CK_INFO;
typedef struct {
  CK_BYTE slotDescription[64]; CK_BYTE manufacturerID[32]; CK_ULONG flags;
  CK_VERSION hardwareVersion; CK_VERSION firmwareVersion;
} CK_SLOT_INFO;
typedef struct {
  CK_BYTE label[32]; CK_BYTE manufacturerID[32]; CK_BYTE model[16]; CK_BYTE serialNumber[16]; CK_ULONG flags;
  CK_ULONG ulMaxSessionCount; CK_ULONG ulSessionCount; CK_ULONG ulMaxRwSessionCount; CK_ULONG ulRwSessionCount;
  CK_ULONG ulMaxPinLen; CK_ULONG ulMinPinLen; CK_ULONG ulTotalPublicMemory; CK_ULONG ulFreePublicMemory;
  CK_ULONG ulTotalPrivateMemory; CK_ULONG ulFreePrivateMemory;
  CK_VERSION hardwareVersion; CK_VERSION firmwareVersion; CK_BYTE utcTime[16];
} CK_TOKEN_INFO;
typedef struct { CK_ULONG slotID; CK_ULONG state; CK_ULONG flags; CK_ULONG ulDeviceError; } CK_SESSION_INFO;
typedef struct { CK_ULONG ulMinKeySize; CK_ULONG ulMaxKeySize; CK_ULONG flags; } CK_MECHANISM_INFO;
typedef struct { CK_ULONG type; void *pValue; CK_ULONG ulValueLen; } CK_ATTRIBUTE;
typedef struct { CK_ULONG mechanism; void *pParameter; CK_ULONG ulParameterLen; } CK_MECHANISM;

typedef struct {
  CK_BYTE *pIv; CK_ULONG ulIvLen; CK_ULONG ulIvBits; CK_BYTE *pAAD; CK_ULONG ulAADLen; CK_ULONG ulTagBits;
} CK_GCM_PARAMS;
typedef struct { CK_ULONG ulCounterBits; CK_BYTE cb[16]; } CK_AES_CTR_PARAMS;
typedef struct { CK_ULONG hashAlg; CK_ULONG mgf; CK_ULONG sLen; } CK_RSA_PKCS_PSS_PARAMS;
typedef struct {
  CK_ULONG hashAlg; CK_ULONG mgf; CK_ULONG source; void *pSourceData; CK_ULONG ulSourceDataLen;
} CK_RSA_PKCS_OAEP_PARAMS;
typedef struct { CK_ULONG ulAESKeyBits; CK_RSA_PKCS_OAEP_PARAMS *pOAEPParams; } CK_RSA_AES_KEY_WRAP_PARAMS;
typedef struct {
  CK_ULONG kdf; CK_ULONG ulSharedDataLen; CK_BYTE *pSharedData; CK_ULONG ulPublicDataLen; CK_BYTE *pPublicData;
} CK_ECDH1_DERIVE_PARAMS;

/* The member after flags is pReserved (NULL) in the standard; NSS reads its parameter string there and has its
   pReserved one further. With a NULL string both readings are the same. */
typedef struct {
  void *CreateMutex; void *DestroyMutex; void *LockMutex; void *UnlockMutex;
  CK_ULONG flags; char *LibraryParameters; void *pReserved;
} CK_C_INITIALIZE_ARGS;
typedef struct { char *pInterfaceName; void *pFunctionList; CK_ULONG flags; } CK_INTERFACE;
"""

# Arguments that occur again and again.
_SESSION = "CK_ULONG"
_OUT = "CK_BYTE *, CK_ULONG *"
_IN = "CK_BYTE *, CK_ULONG"
_TEMPLATE = "CK_ATTRIBUTE *, CK_ULONG"
_INIT = "CK_ULONG, CK_MECHANISM *, CK_ULONG"

FUNCTIONS_2_40: Final[tuple[tuple[str, str | None], ...]] = (
    ("C_Initialize", "CK_C_INITIALIZE_ARGS *"),
    ("C_Finalize", "void *"),
    ("C_GetInfo", "CK_INFO *"),
    ("C_GetFunctionList", None),
    ("C_GetSlotList", "CK_BYTE, CK_ULONG *, CK_ULONG *"),
    ("C_GetSlotInfo", "CK_ULONG, CK_SLOT_INFO *"),
    ("C_GetTokenInfo", "CK_ULONG, CK_TOKEN_INFO *"),
    ("C_GetMechanismList", "CK_ULONG, CK_ULONG *, CK_ULONG *"),
    ("C_GetMechanismInfo", "CK_ULONG, CK_ULONG, CK_MECHANISM_INFO *"),
    ("C_InitToken", f"CK_ULONG, {_IN}, CK_BYTE *"),
    ("C_InitPIN", f"{_SESSION}, {_IN}"),
    ("C_SetPIN", f"{_SESSION}, {_IN}, {_IN}"),
    ("C_OpenSession", "CK_ULONG, CK_ULONG, void *, void *, CK_ULONG *"),
    ("C_CloseSession", _SESSION),
    ("C_CloseAllSessions", "CK_ULONG"),
    ("C_GetSessionInfo", f"{_SESSION}, CK_SESSION_INFO *"),
    ("C_GetOperationState", None),
    ("C_SetOperationState", None),
    ("C_Login", f"{_SESSION}, CK_ULONG, {_IN}"),
    ("C_Logout", _SESSION),
    ("C_CreateObject", f"{_SESSION}, {_TEMPLATE}, CK_ULONG *"),
    ("C_CopyObject", f"{_SESSION}, CK_ULONG, {_TEMPLATE}, CK_ULONG *"),
    ("C_DestroyObject", f"{_SESSION}, CK_ULONG"),
    ("C_GetObjectSize", None),
    ("C_GetAttributeValue", f"{_SESSION}, CK_ULONG, {_TEMPLATE}"),
    ("C_SetAttributeValue", f"{_SESSION}, CK_ULONG, {_TEMPLATE}"),
    ("C_FindObjectsInit", f"{_SESSION}, {_TEMPLATE}"),
    ("C_FindObjects", f"{_SESSION}, CK_ULONG *, CK_ULONG, CK_ULONG *"),
    ("C_FindObjectsFinal", _SESSION),
    ("C_EncryptInit", _INIT),
    ("C_Encrypt", f"{_SESSION}, {_IN}, {_OUT}"),
    ("C_EncryptUpdate", None),
    ("C_EncryptFinal", None),
    ("C_DecryptInit", _INIT),
    ("C_Decrypt", f"{_SESSION}, {_IN}, {_OUT}"),
    ("C_DecryptUpdate", None),
    ("C_DecryptFinal", None),
    ("C_DigestInit", f"{_SESSION}, CK_MECHANISM *"),
    ("C_Digest", f"{_SESSION}, {_IN}, {_OUT}"),
    ("C_DigestUpdate", None),
    ("C_DigestKey", None),
    ("C_DigestFinal", None),
    ("C_SignInit", _INIT),
    ("C_Sign", f"{_SESSION}, {_IN}, {_OUT}"),
    ("C_SignUpdate", None),
    ("C_SignFinal", None),
    ("C_SignRecoverInit", None),
    ("C_SignRecover", None),
    ("C_VerifyInit", _INIT),
    ("C_Verify", f"{_SESSION}, {_IN}, {_IN}"),
    ("C_VerifyUpdate", None),
    ("C_VerifyFinal", None),
    ("C_VerifyRecoverInit", None),
    ("C_VerifyRecover", None),
    ("C_DigestEncryptUpdate", None),
    ("C_DecryptDigestUpdate", None),
    ("C_SignEncryptUpdate", None),
    ("C_DecryptVerifyUpdate", None),
    ("C_GenerateKey", f"{_SESSION}, CK_MECHANISM *, {_TEMPLATE}, CK_ULONG *"),
    ("C_GenerateKeyPair", f"{_SESSION}, CK_MECHANISM *, {_TEMPLATE}, {_TEMPLATE}, CK_ULONG *, CK_ULONG *"),
    ("C_WrapKey", f"{_SESSION}, CK_MECHANISM *, CK_ULONG, CK_ULONG, {_OUT}"),
    ("C_UnwrapKey", f"{_SESSION}, CK_MECHANISM *, CK_ULONG, {_IN}, {_TEMPLATE}, CK_ULONG *"),
    ("C_DeriveKey", f"{_SESSION}, CK_MECHANISM *, CK_ULONG, {_TEMPLATE}, CK_ULONG *"),
    ("C_SeedRandom", None),
    ("C_GenerateRandom", f"{_SESSION}, {_IN}"),
    ("C_GetFunctionStatus", None),
    ("C_CancelFunction", None),
    ("C_WaitForSlotEvent", None),
)
"""Name and arguments (None: never called by us), in the order of CK_FUNCTION_LIST."""

FUNCTIONS_3_0: Final[tuple[tuple[str, str | None], ...]] = (
    ("C_GetInterfaceList", None),
    ("C_GetInterface", None),
    ("C_LoginUser", f"{_SESSION}, CK_ULONG, {_IN}, {_IN}"),
    ("C_SessionCancel", f"{_SESSION}, CK_ULONG"),
    ("C_MessageEncryptInit", None),
    ("C_EncryptMessage", None),
    ("C_EncryptMessageBegin", None),
    ("C_EncryptMessageNext", None),
    ("C_MessageEncryptFinal", None),
    ("C_MessageDecryptInit", None),
    ("C_DecryptMessage", None),
    ("C_DecryptMessageBegin", None),
    ("C_DecryptMessageNext", None),
    ("C_MessageDecryptFinal", None),
    ("C_MessageSignInit", None),
    ("C_SignMessage", None),
    ("C_SignMessageBegin", None),
    ("C_SignMessageNext", None),
    ("C_MessageSignFinal", None),
    ("C_MessageVerifyInit", None),
    ("C_VerifyMessage", None),
    ("C_VerifyMessageBegin", None),
    ("C_VerifyMessageNext", None),
    ("C_MessageVerifyFinal", None),
)
"""What CK_FUNCTION_LIST_3_0 adds (3.1 is the same)."""

FUNCTIONS_3_2: Final[tuple[tuple[str, str | None], ...]] = (
    ("C_EncapsulateKey", f"{_SESSION}, CK_MECHANISM *, CK_ULONG, {_TEMPLATE}, {_OUT}, CK_ULONG *"),
    ("C_DecapsulateKey", f"{_SESSION}, CK_MECHANISM *, CK_ULONG, {_TEMPLATE}, {_IN}, CK_ULONG *"),
    ("C_VerifySignatureInit", None),
    ("C_VerifySignature", None),
    ("C_VerifySignatureUpdate", None),
    ("C_VerifySignatureFinal", None),
    ("C_GetSessionValidationFlags", None),
    ("C_AsyncComplete", None),
    ("C_AsyncGetID", None),
    ("C_AsyncJoin", None),
    ("C_WrapKeyAuthenticated", None),
    ("C_UnwrapKeyAuthenticated", None),
)
"""What CK_FUNCTION_LIST_3_2 adds."""


def _member(name: str, arguments: str | None) -> str:
    return f"  void *{name};\n" if arguments is None else f"  CK_RV (*{name})({arguments});\n"


def _list_type(name: str, functions: tuple[tuple[str, str | None], ...]) -> str:
    members = "".join(_member(*function) for function in functions)
    return f"typedef struct {{\n  CK_VERSION version;\n{members}}} {name};\n"


def _declare() -> FFI:
    ffi = FFI()
    ffi.cdef(
        _TYPES
        + _list_type("CK_FUNCTION_LIST", FUNCTIONS_2_40)
        + _list_type("CK_FUNCTION_LIST_3_0", FUNCTIONS_2_40 + FUNCTIONS_3_0)
        + _list_type("CK_FUNCTION_LIST_3_2", FUNCTIONS_2_40 + FUNCTIONS_3_0 + FUNCTIONS_3_2)
        + "CK_RV C_GetFunctionList(CK_FUNCTION_LIST **);\n"
        + "CK_RV C_GetInterface(char *, CK_VERSION *, CK_INTERFACE **, CK_ULONG);\n"
    )
    return ffi


ffi: Final = _declare()

ULONG_MAX: Final[int] = (1 << (8 * ffi.sizeof("CK_ULONG"))) - 1
UNAVAILABLE_INFORMATION: Final[int] = ULONG_MAX
"""CK_UNAVAILABLE_INFORMATION: the token does not say, or will not."""

BYTES_TYPE: Final = ffi.typeof("CK_BYTE[]")
ULONGS_TYPE: Final = ffi.typeof("CK_ULONG[]")
ULONG_POINTER: Final = ffi.typeof("CK_ULONG *")
MECHANISM_POINTER: Final = ffi.typeof("CK_MECHANISM *")
ATTRIBUTES_TYPE: Final = ffi.typeof("CK_ATTRIBUTE[]")
