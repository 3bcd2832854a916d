/* The calls that a member worker makes, by a program that does nothing else: what the token itself can do.
 *
 *     hsm_calls MODULE SERIAL SECONDS wrap=CKA_ID unwrap=CKA_ID rsa-sign=CKA_ID p256-sign=CKA_ID
 *
 * The PIN is the first line of standard input. One session, one thread, one call after the other, on token objects
 * (found once by CKA_ID, hexadecimal), as the worker does it: AES-256-GCM over 32 bytes with 32 bytes of AAD, CKM_RSA_PKCS
 * over a SHA-256 DigestInfo, CKM_ECDSA over 32 bytes. Prints "NAME CALLS SECONDS" for each.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../faults/shim_pkcs11.h"

enum { KEY_BYTES = 32, TAG_BITS = 128, IV_BYTES = 12, BATCH = 16, CLASS_PRIVATE = 3, CLASS_SECRET = 4 };
enum { CKA_CLASS = 0, CKM_RSA_PKCS = 1, CKM_ECDSA = 0x1041 };

static CK_FUNCTION_LIST *p11;
static CK_ULONG session;
static CK_BYTE iv[IV_BYTES], aad[32], plain[KEY_BYTES], digest_info[51], out[1024];
static CK_BYTE sealed[KEY_BYTES + TAG_BITS / 8];

static void check(CK_RV rv, const char *what) {
    if (rv == CKR_OK) return;
    fprintf(stderr, "hsm_calls: %s answered 0x%lx\n", what, rv);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static CK_ULONG find(const char *hex, CK_ULONG class) {
    CK_BYTE id[64], yes = 1;
    CK_ULONG n = strlen(hex) / 2, key = 0, found = 0;
    for (CK_ULONG i = 0; i < n && i < sizeof id; i++) sscanf(hex + 2 * i, "%2hhx", &id[i]);
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof class}, {CKA_TOKEN, &yes, 1}, {CKA_ID, id, n}};
    check(p11->C_FindObjectsInit(session, wanted, 3), "C_FindObjectsInit");
    check(p11->C_FindObjects(session, &key, 1, &found), "C_FindObjects");
    check(p11->C_FindObjectsFinal(session), "C_FindObjectsFinal");
    if (found != 1) check(CKR_GENERAL_ERROR, "looking for the key");
    return key;
}

static void one_wrap(CK_ULONG key) {
    CK_GCM_PARAMS gcm = {iv, IV_BYTES, 8 * IV_BYTES, aad, sizeof aad, TAG_BITS};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &gcm, sizeof gcm};
    CK_ULONG n = sizeof sealed;
    for (int i = 0; i < IV_BYTES && !++iv[i]; i++) {}
    check(p11->C_EncryptInit(session, &mechanism, key), "C_EncryptInit");
    check(p11->C_Encrypt(session, plain, sizeof plain, sealed, &n), "C_Encrypt");
}

static void one_unwrap(CK_ULONG key) {
    CK_GCM_PARAMS gcm = {iv, IV_BYTES, 8 * IV_BYTES, aad, sizeof aad, TAG_BITS};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &gcm, sizeof gcm};
    CK_ULONG n = sizeof out;
    check(p11->C_DecryptInit(session, &mechanism, key), "C_DecryptInit");
    check(p11->C_Decrypt(session, sealed, sizeof sealed, out, &n), "C_Decrypt");
}

static void one_signature(CK_ULONG key, CK_ULONG type, CK_BYTE *data, CK_ULONG len) {
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_ULONG n = sizeof out;
    check(p11->C_SignInit(session, &mechanism, key), "C_SignInit");
    check(p11->C_Sign(session, data, len, out, &n), "C_Sign");
}

static void one_rsa(CK_ULONG key) { one_signature(key, CKM_RSA_PKCS, digest_info, sizeof digest_info); }
static void one_p256(CK_ULONG key) { one_signature(key, CKM_ECDSA, plain, sizeof plain); }

static void run(const char *name, const char *hex, double seconds) {
    void (*call)(CK_ULONG) = NULL;
    CK_ULONG class = CLASS_SECRET;
    if (!strcmp(name, "wrap")) call = one_wrap;
    if (!strcmp(name, "unwrap")) call = one_unwrap;
    if (!strcmp(name, "rsa-sign")) call = one_rsa, class = CLASS_PRIVATE;
    if (!strcmp(name, "p256-sign")) call = one_p256, class = CLASS_PRIVATE;
    if (!call) check(CKR_GENERAL_ERROR, name);
    CK_ULONG key = find(hex, class);
    if (call == one_unwrap) one_wrap(key);
    long calls = 0;
    double began = now(), ended = began;
    for (; ended - began < seconds; ended = now(), calls += BATCH)
        for (int i = 0; i < BATCH; i++) call(key);
    printf("%s %ld %.6f\n", name, calls, ended - began);
    fflush(stdout);
}

static CK_ULONG slot_of(const char *serial) {
    CK_ULONG slots[64], n = 64;
    check(p11->C_GetSlotList(1, slots, &n), "C_GetSlotList");
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        check(p11->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
        if (strlen(serial) == sizeof info.serialNumber && !memcmp(info.serialNumber, serial, sizeof info.serialNumber))
            return slots[i];
    }
    check(CKR_TOKEN_NOT_PRESENT, "looking for the token");
    return 0;
}

int main(int argc, char **argv) {
    static const CK_BYTE sha256_prefix[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                            0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}; /* RFC 8017, 9.2 */
    char pin[256] = "";
    if (argc < 5 || !fgets(pin, sizeof pin, stdin)) return 2;
    pin[strcspn(pin, "\n")] = 0;
    memcpy(digest_info, sha256_prefix, sizeof sha256_prefix);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CK_RV (*get_list)(CK_FUNCTION_LIST **) = library ? (CK_RV(*)(CK_FUNCTION_LIST **))dlsym(library, "C_GetFunctionList") : NULL;
    if (!get_list) check(CKR_GENERAL_ERROR, "loading the module");
    check(get_list(&p11), "C_GetFunctionList");
    CK_C_INITIALIZE_ARGS locking = {NULL, NULL, NULL, NULL, CKF_OS_LOCKING_OK, NULL};
    check(p11->C_Initialize(&locking), "C_Initialize");
    check(p11->C_OpenSession(slot_of(argv[2]), 4 | CKF_RW_SESSION, NULL, NULL, &session), "C_OpenSession");
    check(p11->C_Login(session, CKU_USER, (CK_BYTE *)pin, strlen(pin)), "C_Login");
    for (int i = 4; i < argc; i++) {
        char *hex = strchr(argv[i], '=');
        if (!hex) return 2;
        *hex++ = 0;
        run(argv[i], hex, atof(argv[3]));
    }
    check(p11->C_Finalize(NULL), "C_Finalize");
    return 0;
}
