/* What the fault shim needs to know of PKCS#11 2.40 (OASIS, base specification, sections 3 and 5): types, structures and
 * the function list. On Linux structures have the platform's own alignment. */

#ifndef STRONGROOM_SHIM_PKCS11_H
#define STRONGROOM_SHIM_PKCS11_H

typedef unsigned char CK_BYTE;
typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;

typedef struct { CK_BYTE major, minor; } CK_VERSION;
typedef struct {
    CK_BYTE label[32], manufacturerID[32], model[16], serialNumber[16];
    CK_ULONG flags, ulMaxSessionCount, ulSessionCount, ulMaxRwSessionCount, ulRwSessionCount, ulMaxPinLen, ulMinPinLen;
    CK_ULONG ulTotalPublicMemory, ulFreePublicMemory, ulTotalPrivateMemory, ulFreePrivateMemory;
    CK_VERSION hardwareVersion, firmwareVersion;
    CK_BYTE utcTime[16];
} CK_TOKEN_INFO;
typedef struct { CK_ULONG slotID, state, flags, ulDeviceError; } CK_SESSION_INFO;
typedef struct { CK_ULONG type; void *pValue; CK_ULONG ulValueLen; } CK_ATTRIBUTE;
typedef struct { CK_ULONG mechanism; void *pParameter; CK_ULONG ulParameterLen; } CK_MECHANISM;
typedef struct { CK_BYTE *pIv; CK_ULONG ulIvLen, ulIvBits; CK_BYTE *pAAD; CK_ULONG ulAADLen, ulTagBits; } CK_GCM_PARAMS;
typedef struct { void *createMutex, *destroyMutex, *lockMutex, *unlockMutex; CK_ULONG flags; void *pReserved; } CK_C_INITIALIZE_ARGS;

enum {
    CKR_OK = 0, CKR_GENERAL_ERROR = 5, CKR_FUNCTION_FAILED = 6, CKR_ATTRIBUTE_TYPE_INVALID = 0x12, CKR_DATA_LEN_RANGE = 0x21,
    CKR_DEVICE_ERROR = 0x30, CKR_DEVICE_REMOVED = 0x32, CKR_ENCRYPTED_DATA_LEN_RANGE = 0x41, CKR_KEY_HANDLE_INVALID = 0x60,
    CKR_PIN_INCORRECT = 0xA0, CKR_PIN_LOCKED = 0xA4, CKR_SESSION_COUNT = 0xB1, CKR_SESSION_HANDLE_INVALID = 0xB3,
    CKR_SLOT_ID_INVALID = 3, CKR_TOKEN_NOT_PRESENT = 0xE0, CKR_TOKEN_WRITE_PROTECTED = 0xE2, CKR_USER_NOT_LOGGED_IN = 0x101,
    CKR_BUFFER_TOO_SMALL = 0x150, CKR_CRYPTOKI_NOT_INITIALIZED = 0x190
};
enum { CKA_TOKEN = 1, CKA_ID = 0x102 };
enum { CKM_AES_GCM = 0x1087 };
#define CKM_CLOUDHSM_AES_GCM 0x80001087UL /* the same, with the IV of the HSM before the ciphertext */
enum { CKU_SO = 0, CKU_USER = 1 };
enum { CKF_OS_LOCKING_OK = 2, CKF_WRITE_PROTECTED = 2, CKF_RW_SESSION = 2 };
enum {
    CKF_USER_PIN_COUNT_LOW = 0x10000, CKF_USER_PIN_FINAL_TRY = 0x20000, CKF_USER_PIN_LOCKED = 0x40000,
    CKF_SO_PIN_COUNT_LOW = 0x100000, CKF_SO_PIN_FINAL_TRY = 0x200000, CKF_SO_PIN_LOCKED = 0x400000
};

/* What kind of thing the first argument of a function is. */
enum { OF_MODULE, OF_SLOT, OF_SESSION };

/* X(name, what the first argument is, parameters, arguments): all functions in the order of CK_FUNCTION_LIST. */
#define U CK_ULONG
#define B CK_BYTE *
#define INIT_P (U a, CK_MECHANISM *b, U c)
#define THREE (a, b, c)
#define INOUT_P (U a, B b, U c, B d, U *e)
#define IN2_P (U a, B b, U c, B d, U e)
#define FIVE (a, b, c, d, e)
#define IN_P (U a, B b, U c)
#define OUT_P (U a, B b, U *c)
#define TEMPLATE_P (U a, U b, CK_ATTRIBUTE *c, U d)
#define FOUR (a, b, c, d)
#define FUNCTIONS(X) \
    X(C_Initialize, OF_MODULE, (CK_C_INITIALIZE_ARGS *a), (a)) \
    X(C_Finalize, OF_MODULE, (void *a), (a)) \
    X(C_GetInfo, OF_MODULE, (void *a), (a)) \
    X(C_GetFunctionList, OF_MODULE, (void **a), (a)) \
    X(C_GetSlotList, OF_MODULE, (CK_BYTE a, U *b, U *c), THREE) \
    X(C_GetSlotInfo, OF_SLOT, (U a, void *b), (a, b)) \
    X(C_GetTokenInfo, OF_SLOT, (U a, CK_TOKEN_INFO *b), (a, b)) \
    X(C_GetMechanismList, OF_SLOT, (U a, U *b, U *c), THREE) \
    X(C_GetMechanismInfo, OF_SLOT, (U a, U b, void *c), THREE) \
    X(C_InitToken, OF_SLOT, (U a, B b, U c, B d), FOUR) \
    X(C_InitPIN, OF_SESSION, IN_P, THREE) \
    X(C_SetPIN, OF_SESSION, IN2_P, FIVE) \
    X(C_OpenSession, OF_SLOT, (U a, U b, void *c, void *d, U *e), FIVE) \
    X(C_CloseSession, OF_SESSION, (U a), (a)) \
    X(C_CloseAllSessions, OF_SLOT, (U a), (a)) \
    X(C_GetSessionInfo, OF_SESSION, (U a, CK_SESSION_INFO *b), (a, b)) \
    X(C_GetOperationState, OF_SESSION, OUT_P, THREE) \
    X(C_SetOperationState, OF_SESSION, (U a, B b, U c, U d, U e), FIVE) \
    X(C_Login, OF_SESSION, (U a, U b, B c, U d), FOUR) \
    X(C_Logout, OF_SESSION, (U a), (a)) \
    X(C_CreateObject, OF_SESSION, (U a, CK_ATTRIBUTE *b, U c, U *d), FOUR) \
    X(C_CopyObject, OF_SESSION, (U a, U b, CK_ATTRIBUTE *c, U d, U *e), FIVE) \
    X(C_DestroyObject, OF_SESSION, (U a, U b), (a, b)) \
    X(C_GetObjectSize, OF_SESSION, (U a, U b, U *c), THREE) \
    X(C_GetAttributeValue, OF_SESSION, TEMPLATE_P, FOUR) \
    X(C_SetAttributeValue, OF_SESSION, TEMPLATE_P, FOUR) \
    X(C_FindObjectsInit, OF_SESSION, (U a, CK_ATTRIBUTE *b, U c), THREE) \
    X(C_FindObjects, OF_SESSION, (U a, U *b, U c, U *d), FOUR) \
    X(C_FindObjectsFinal, OF_SESSION, (U a), (a)) \
    X(C_EncryptInit, OF_SESSION, INIT_P, THREE) \
    X(C_Encrypt, OF_SESSION, INOUT_P, FIVE) \
    X(C_EncryptUpdate, OF_SESSION, INOUT_P, FIVE) \
    X(C_EncryptFinal, OF_SESSION, OUT_P, THREE) \
    X(C_DecryptInit, OF_SESSION, INIT_P, THREE) \
    X(C_Decrypt, OF_SESSION, INOUT_P, FIVE) \
    X(C_DecryptUpdate, OF_SESSION, INOUT_P, FIVE) \
    X(C_DecryptFinal, OF_SESSION, OUT_P, THREE) \
    X(C_DigestInit, OF_SESSION, (U a, CK_MECHANISM *b), (a, b)) \
    X(C_Digest, OF_SESSION, INOUT_P, FIVE) \
    X(C_DigestUpdate, OF_SESSION, IN_P, THREE) \
    X(C_DigestKey, OF_SESSION, (U a, U b), (a, b)) \
    X(C_DigestFinal, OF_SESSION, OUT_P, THREE) \
    X(C_SignInit, OF_SESSION, INIT_P, THREE) \
    X(C_Sign, OF_SESSION, INOUT_P, FIVE) \
    X(C_SignUpdate, OF_SESSION, IN_P, THREE) \
    X(C_SignFinal, OF_SESSION, OUT_P, THREE) \
    X(C_SignRecoverInit, OF_SESSION, INIT_P, THREE) \
    X(C_SignRecover, OF_SESSION, INOUT_P, FIVE) \
    X(C_VerifyInit, OF_SESSION, INIT_P, THREE) \
    X(C_Verify, OF_SESSION, IN2_P, FIVE) \
    X(C_VerifyUpdate, OF_SESSION, IN_P, THREE) \
    X(C_VerifyFinal, OF_SESSION, IN_P, THREE) \
    X(C_VerifyRecoverInit, OF_SESSION, INIT_P, THREE) \
    X(C_VerifyRecover, OF_SESSION, INOUT_P, FIVE) \
    X(C_DigestEncryptUpdate, OF_SESSION, INOUT_P, FIVE) \
    X(C_DecryptDigestUpdate, OF_SESSION, INOUT_P, FIVE) \
    X(C_SignEncryptUpdate, OF_SESSION, INOUT_P, FIVE) \
    X(C_DecryptVerifyUpdate, OF_SESSION, INOUT_P, FIVE) \
    X(C_GenerateKey, OF_SESSION, (U a, CK_MECHANISM *b, CK_ATTRIBUTE *c, U d, U *e), FIVE) \
    X(C_GenerateKeyPair, OF_SESSION, (U a, CK_MECHANISM *b, CK_ATTRIBUTE *c, U d, CK_ATTRIBUTE *e, U f, U *g, U *h), \
      (a, b, c, d, e, f, g, h)) \
    X(C_WrapKey, OF_SESSION, (U a, CK_MECHANISM *b, U c, U d, B e, U *f), (a, b, c, d, e, f)) \
    X(C_UnwrapKey, OF_SESSION, (U a, CK_MECHANISM *b, U c, B d, U e, CK_ATTRIBUTE *f, U g, U *h), \
      (a, b, c, d, e, f, g, h)) \
    X(C_DeriveKey, OF_SESSION, (U a, CK_MECHANISM *b, U c, CK_ATTRIBUTE *d, U e, U *f), (a, b, c, d, e, f)) \
    X(C_SeedRandom, OF_SESSION, IN_P, THREE) \
    X(C_GenerateRandom, OF_SESSION, IN_P, THREE) \
    X(C_GetFunctionStatus, OF_SESSION, (U a), (a)) \
    X(C_CancelFunction, OF_SESSION, (U a), (a)) \
    X(C_WaitForSlotEvent, OF_MODULE, (U a, U *b, void *c), THREE)

#define NUMBER(name, of, params, args) F_##name,
enum { FUNCTIONS(NUMBER) N_FUNCTIONS };
#undef NUMBER

#define MEMBER(name, of, params, args) CK_RV (*name) params;
typedef struct { CK_VERSION version; FUNCTIONS(MEMBER) } CK_FUNCTION_LIST;
#undef MEMBER

#endif
