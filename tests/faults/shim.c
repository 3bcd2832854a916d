/* A PKCS#11 module that forwards to a real one and goes wrong when it is told to; fault_shim.py gives the orders.
 *
 * The orders file is named by STRONGROOM_SHIM_ORDERS, or lies beside this library as NAME.so.orders; shim_orders.h tells
 * how it is laid out. It is mapped, so orders act at once in every process that has loaded the shim. What belongs to a
 * device or a token (wrong PINs, keys hidden still, the rate of calls) is kept in that file and shared by all processes;
 * what belongs to a connection (sessions, a cut link) is kept in the process.
 *
 * Many threads: the session table has one lock, which is never held while a call may block; all else is atomic. */

#define _GNU_SOURCE
#include "shim_orders.h"
#include "shim_pkcs11.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_SESSIONS 4096
#define MAX_SLOTS 512
#define MAX_IV 16
#define NO_SLOT (~0UL)

struct session {
    CK_ULONG handle, slot; /* slot: the real number; handle 0 is a free place */
    uint64_t used_ns;
    int busy;
    int iv_mode; /* of the encryption under way */
    CK_BYTE *caller_iv;
    CK_BYTE iv[MAX_IV];
    CK_ULONG iv_len, tag_len;
    int deferred; /* a decryption whose IV comes with the ciphertext: 2 behind it, 3 before it */
    CK_GCM_PARAMS params;
    CK_BYTE *aad;
    CK_ULONG key;
};

static uint64_t *words;
static CK_FUNCTION_LIST *real, ours, hooks;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct session sessions[MAX_SESSIONS];
static int n_places; /* places of sessions[] that were ever used */
static pid_t owner;
static uint64_t link_seen, token_seen, logout_seen;
static int logged_out;

#define GET(n) __atomic_load_n(&words[n], __ATOMIC_ACQUIRE)
#define SET(n, value) __atomic_store_n(&words[n], (value), __ATOMIC_RELEASE)
#define ADD(n, value) __atomic_add_fetch(&words[n], (uint64_t)(value), __ATOMIC_ACQ_REL)

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
    struct timespec t = { (time_t)(ns / 1000000000U), (long)(ns % 1000000000U) };
    while (nanosleep(&t, &t))
        ;
}

static uint64_t mixed(uint64_t x) /* splitmix64 */
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

static uint64_t hashed(uint64_t seed, const CK_BYTE *bytes, CK_ULONG n) /* FNV-1a, never 0 */
{
    uint64_t h = 0xcbf29ce484222325U ^ seed;
    for (CK_ULONG i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 0x100000001b3U;
    return h ? h : 1;
}

/* --- sessions ------------------------------------------------------------------------------------------------- */

static struct session *find(CK_ULONG handle) /* the lock is held */
{
    for (int i = 0; handle && i < n_places; i++)
        if (sessions[i].handle == handle)
            return &sessions[i];
    return NULL;
}

static int n_sessions(void) /* the lock is held */
{
    int n = 0;
    for (int i = 0; i < n_places; i++)
        n += sessions[i].handle != 0;
    return n;
}

static void forget(struct session *s) /* the lock is held */
{
    free(s->aad);
    memset(s, 0, sizeof *s);
    ADD(W_OPEN_SESSIONS, -1);
}

static void forget_of(CK_ULONG slot) /* the lock is held; NO_SLOT is all */
{
    for (int i = 0; i < n_places; i++)
        if (sessions[i].handle && (slot == NO_SLOT || sessions[i].slot == slot))
            forget(&sessions[i]);
}

static void drop_idle(uint64_t now) /* the lock is held */
{
    uint64_t limit = GET(W_IDLE_NS);
    for (int i = 0; limit && i < n_places; i++) {
        struct session *s = &sessions[i];
        if (s->handle && !s->busy && now - s->used_ns > limit) {
            real->C_CloseSession(s->handle);
            forget(s);
            ADD(W_DROPPED_SESSIONS, 1);
        }
    }
}

/* --- rules ---------------------------------------------------------------------------------------------------- */

static int applies(uint64_t rule, int fn)
{
    uint64_t function = GET(rule + R_FUNCTION), seen, chance = GET(rule + R_CHANCE), until = GET(rule + R_UNTIL);
    if (function == ANY_FUNCTION ? fn == F_C_Initialize || fn == F_C_Finalize : function != (uint64_t)fn)
        return 0;
    seen = ADD(rule + R_SEEN, 1);
    if (seen < GET(rule + R_FIRST) || (GET(rule + R_LAST) && seen > GET(rule + R_LAST)))
        return 0;
    if (until && now_ns() > until)
        return 0;
    return !chance || mixed(GET(rule + R_STATE) + seen) >> 32 < chance;
}

struct outcome { int action; CK_RV code; };

static struct outcome obey_rules(int fn)
{
    struct outcome outcome = { 0, 0 };
    for (uint64_t rule = RULES; rule < RULES + N_RULES * RULE_WORDS; rule += RULE_WORDS) {
        uint64_t activation = GET(rule + R_ACTIVE), argument, action;
        if (!activation || !applies(rule, fn))
            continue;
        ADD(rule + R_HITS, 1);
        argument = GET(rule + R_ARGUMENT);
        action = GET(rule + R_ACTION);
        if (action == A_ABORT)
            abort();
        if (action == A_EXIT)
            _exit((int)argument);
        if (action == A_DELAY)
            sleep_ns(argument);
        if (action == A_HANG) {
            ADD(rule + R_HOLDING, 1);
            while (GET(rule + R_ACTIVE) == activation)
                sleep_ns(1000000);
            ADD(rule + R_HOLDING, -1);
        }
        if ((action == A_FAIL || action == A_FAIL_AFTER || action == A_EXIT_AFTER) && !outcome.action) {
            outcome.action = (int)action;
            outcome.code = argument;
        }
    }
    return outcome;
}

/* --- the state of link, token and login -------------------------------------------------------------------------- */

static int needs_login(int fn)
{
    switch (fn) {
    case F_C_EncryptInit: case F_C_DecryptInit: case F_C_SignInit: case F_C_VerifyInit: case F_C_GenerateKey:
    case F_C_GenerateKeyPair: case F_C_WrapKey: case F_C_UnwrapKey: case F_C_DeriveKey: case F_C_CopyObject:
    case F_C_DestroyObject: case F_C_SetAttributeValue: return 1;
    default: return 0;
    }
}

static int is_throttled(int fn)
{
    uint64_t interval = GET(W_RATE_INTERVAL_NS), burst = GET(W_RATE_BURST_NS), now = now_ns(), tat;
    switch (fn) {
    case F_C_EncryptInit: case F_C_DecryptInit: case F_C_SignInit: case F_C_VerifyInit: case F_C_DigestInit:
    case F_C_GenerateKey: case F_C_GenerateKeyPair: case F_C_WrapKey: case F_C_UnwrapKey: case F_C_DeriveKey:
    case F_C_GenerateRandom: break;
    default: return 0;
    }
    if (!interval)
        return 0;
    tat = GET(W_RATE_TAT);
    do {
        if (tat > now + burst) {
            ADD(W_THROTTLED, 1);
            return 1;
        }
    } while (!__atomic_compare_exchange_n(&words[W_RATE_TAT], &tat, (tat > now ? tat : now) + interval, 0, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    return 0;
}

static void log_out_if_told(void) /* the lock is held */
{
    if (GET(W_LOGOUT_EPOCH) == logout_seen)
        return;
    logout_seen = GET(W_LOGOUT_EPOCH);
    logged_out = n_sessions() > 0;
    for (int i = 0; i < n_places; i++)
        if (sessions[i].handle)
            real->C_Logout(sessions[i].handle); /* of every token that a session is open with */
}

static CK_RV standing(int fn, int of, CK_ULONG first, struct session **place)
{
    CK_RV rv = CKR_OK;
    if (fn == F_C_Initialize || fn == F_C_Finalize || !owner)
        return owner && owner != getpid() && fn == F_C_Finalize ? (ADD(W_FOREIGN_CALLS, 1), CKR_CRYPTOKI_NOT_INITIALIZED) : rv;
    if (owner != getpid())
        return ADD(W_FOREIGN_CALLS, 1), CKR_CRYPTOKI_NOT_INITIALIZED;
    if (GET(W_LINK_EPOCH) != link_seen)
        return CKR_DEVICE_ERROR;
    if (GET(W_TOKEN_EPOCH) != token_seen && of == OF_SESSION)
        return CKR_DEVICE_REMOVED;
    if (GET(W_TOKEN_EPOCH) != token_seen && of == OF_SLOT && fn != F_C_GetSlotInfo)
        return CKR_TOKEN_NOT_PRESENT;
    pthread_mutex_lock(&lock);
    drop_idle(now_ns());
    log_out_if_told();
    if (logged_out && needs_login(fn))
        rv = CKR_USER_NOT_LOGGED_IN;
    else if (of == OF_SESSION && (*place = find(first))) {
        if ((*place)->busy++)
            ADD(W_OVERLAPS, 1);
    }
    pthread_mutex_unlock(&lock);
    return rv;
}

static void leave(struct session *s, CK_ULONG handle)
{
    if (!s)
        return;
    pthread_mutex_lock(&lock);
    if (s->handle == handle) {
        s->busy--;
        s->used_ns = now_ns();
    }
    pthread_mutex_unlock(&lock);
}

/* --- slots ---------------------------------------------------------------------------------------------------- */

static CK_ULONG all_slots(CK_ULONG *list)
{
    CK_ULONG n = MAX_SLOTS;
    return real->C_GetSlotList(0, list, &n) == CKR_OK ? n : 0;
}

static CK_ULONG real_slot(CK_ULONG told)
{
    CK_ULONG list[MAX_SLOTS], n;
    if (!GET(W_SLOTS_CHANGED))
        return told;
    n = all_slots(list);
    return told < n ? list[(told + GET(W_SLOT_SHIFT)) % n] : NO_SLOT;
}

static CK_ULONG told_slot(CK_ULONG slot)
{
    CK_ULONG list[MAX_SLOTS], n;
    if (!GET(W_SLOTS_CHANGED))
        return slot;
    n = all_slots(list);
    for (CK_ULONG i = 0; i < n; i++)
        if (list[i] == slot)
            return (i + n - GET(W_SLOT_SHIFT) % n) % n;
    return NO_SLOT;
}

static CK_RV get_slot_list(CK_BYTE with_token, CK_ULONG *list, CK_ULONG *count)
{
    CK_RV rv;
    if (GET(W_TOKEN_EPOCH) != token_seen && with_token) {
        *count = 0;
        return CKR_OK;
    }
    rv = real->C_GetSlotList(with_token, list, count);
    for (CK_ULONG i = 0; rv == CKR_OK && list && i < *count; i++)
        list[i] = told_slot(list[i]);
    return rv;
}

static CK_ULONG pin_flags(uint64_t wrong, uint64_t limit, CK_ULONG low, CK_ULONG final, CK_ULONG locked)
{
    return !wrong ? 0 : wrong >= limit ? locked : low | (wrong + 1 == limit ? final : 0);
}

static CK_RV get_token_info(CK_ULONG slot, CK_TOKEN_INFO *info)
{
    CK_RV rv = real->C_GetTokenInfo(slot, info);
    uint64_t limit = GET(W_PIN_LIMIT);
    if (rv != CKR_OK)
        return rv;
    if (GET(W_TOLD_SESSION_CAP))
        info->ulMaxSessionCount = info->ulMaxRwSessionCount = GET(W_TOLD_SESSION_CAP);
    if (GET(W_WRITE_PROTECTED))
        info->flags |= CKF_WRITE_PROTECTED;
    if (limit) {
        info->flags &= ~0x770000UL;
        info->flags |= pin_flags(GET(W_USER_WRONG), limit, CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED);
        info->flags |= pin_flags(GET(W_SO_WRONG), limit, CKF_SO_PIN_COUNT_LOW, CKF_SO_PIN_FINAL_TRY, CKF_SO_PIN_LOCKED);
    }
    return rv;
}

/* --- starting, sessions, PINs ------------------------------------------------------------------------------------- */

static CK_RV initialize(CK_C_INITIALIZE_ARGS *args)
{
    CK_RV rv;
    if (GET(W_PRINTS)) {
        printf("Vendor PKCS#11 library 1.2.3, evaluation copy\n");
        fflush(stdout);
    }
    if (GET(W_LINK_DOWN))
        return CKR_DEVICE_ERROR;
    if (!args || !(args->flags & CKF_OS_LOCKING_OK))
        ADD(W_UNLOCKED_INITIALISES, 1);
    link_seen = GET(W_LINK_EPOCH);
    token_seen = GET(W_TOKEN_EPOCH) - (GET(W_TOKEN_AWAY) != 0);
    logout_seen = GET(W_LOGOUT_EPOCH);
    logged_out = 0;
    rv = real->C_Initialize(args);
    if (rv == CKR_OK) {
        owner = getpid();
        ADD(W_INITIALISED_PROCESSES, 1);
    }
    return rv;
}

static CK_RV finalize(void *reserved)
{
    CK_RV rv = real->C_Finalize(reserved);
    if (rv == CKR_OK) {
        pthread_mutex_lock(&lock);
        forget_of(NO_SLOT);
        owner = 0;
        pthread_mutex_unlock(&lock);
    }
    return rv;
}

static CK_RV open_session(CK_ULONG slot, CK_ULONG flags, void *data, void *notify, CK_ULONG *handle)
{
    CK_RV rv = CKR_OK;
    struct session *s = NULL;
    uint64_t cap = GET(W_SESSION_CAP);
    if (GET(W_NO_READ_ONLY) && !(flags & CKF_RW_SESSION))
        return CKR_FUNCTION_FAILED;
    pthread_mutex_lock(&lock);
    if (cap && (uint64_t)n_sessions() >= cap)
        rv = CKR_SESSION_COUNT;
    for (int i = 0; rv == CKR_OK && !s && i < MAX_SESSIONS; i++)
        if (!sessions[i].handle)
            s = &sessions[i];
    if (rv == CKR_OK)
        rv = s ? real->C_OpenSession(slot, flags, data, notify, handle) : CKR_SESSION_COUNT;
    if (rv == CKR_OK) {
        uint64_t n;
        *s = (struct session){ .handle = *handle, .slot = slot, .used_ns = now_ns() };
        if (s - sessions >= n_places)
            n_places = (int)(s - sessions) + 1;
        ADD(W_OPEN_SESSIONS, 1);
        n = (uint64_t)n_sessions();
        if (n > GET(W_MOST_SESSIONS))
            SET(W_MOST_SESSIONS, n);
    }
    pthread_mutex_unlock(&lock);
    return rv;
}

static CK_RV close_session(CK_ULONG handle)
{
    CK_RV rv = real->C_CloseSession(handle);
    struct session *s;
    pthread_mutex_lock(&lock);
    if (rv == CKR_OK && (s = find(handle)))
        forget(s);
    pthread_mutex_unlock(&lock);
    return rv;
}

static CK_RV close_all_sessions(CK_ULONG slot)
{
    CK_RV rv = real->C_CloseAllSessions(slot);
    pthread_mutex_lock(&lock);
    if (rv == CKR_OK)
        forget_of(slot);
    pthread_mutex_unlock(&lock);
    return rv;
}

static CK_RV get_session_info(CK_ULONG session, CK_SESSION_INFO *info)
{
    CK_RV rv = real->C_GetSessionInfo(session, info);
    if (rv == CKR_OK)
        info->slotID = told_slot(info->slotID);
    return rv;
}

static int was_refused(uint64_t pin)
{
    for (int i = 0; i < N_REFUSED; i++)
        if (GET(REFUSED + i) == pin)
            return 1;
    return 0;
}

static void note_refused(uint64_t pin)
{
    for (int i = 0; i < N_REFUSED && !was_refused(pin); i++)
        if (!GET(REFUSED + i))
            SET(REFUSED + i, pin);
}

static CK_RV login(CK_ULONG session, CK_ULONG user, CK_BYTE *pin, CK_ULONG pin_len)
{
    uint64_t limit = GET(W_PIN_LIMIT), hash = hashed(user, pin, pin_len);
    int wrong = user == CKU_SO ? W_SO_WRONG : W_USER_WRONG;
    CK_RV rv;
    ADD(user == CKU_SO ? W_SO_LOGINS : W_LOGINS, 1);
    if (was_refused(hash))
        ADD(W_REPEATED_PINS, 1);
    rv = limit && GET(wrong) >= limit ? CKR_PIN_LOCKED : real->C_Login(session, user, pin, pin_len);
    if (rv == CKR_OK) {
        SET(wrong, 0);
        logged_out = 0;
    }
    if (rv == CKR_PIN_INCORRECT) {
        ADD(wrong, 1);
        note_refused(hash);
    }
    if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED)
        ADD(W_REFUSED_LOGINS, 1);
    return rv;
}

static CK_RV init_pin(CK_ULONG session, CK_BYTE *pin, CK_ULONG pin_len)
{
    CK_RV rv = GET(W_WRITE_PROTECTED) ? CKR_TOKEN_WRITE_PROTECTED : real->C_InitPIN(session, pin, pin_len);
    if (rv == CKR_OK)
        SET(W_USER_WRONG, 0);
    return rv;
}

static CK_RV set_pin(CK_ULONG session, CK_BYTE *old, CK_ULONG old_len, CK_BYTE *new, CK_ULONG new_len)
{
    return GET(W_WRITE_PROTECTED) ? CKR_TOKEN_WRITE_PROTECTED : real->C_SetPIN(session, old, old_len, new, new_len);
}

#include "shim_objects.h"
#include "shim_gcm.h"

/* --- the function list -------------------------------------------------------------------------------------------- */

#define FIRST_OF_MODULE 0
#define FIRST_OF_SLOT a
#define FIRST_OF_SESSION a
#define TRANSLATE_OF_MODULE
#define TRANSLATE_OF_SLOT a = real_slot(a);
#define TRANSLATE_OF_SESSION
#define WRAPPER(name, of, params, args) \
    static CK_RV shim_##name params \
    { \
        struct session *s = NULL; \
        struct outcome told; \
        CK_ULONG handle = FIRST_##of; \
        CK_RV rv; \
        ADD(CALLS + F_##name, 1); \
        told = obey_rules(F_##name); \
        if (told.action == A_FAIL) \
            return told.code; \
        rv = standing(F_##name, of, handle, &s); \
        if (rv == CKR_OK && is_throttled(F_##name)) \
            rv = GET(W_RATE_CODE); \
        if (rv == CKR_OK) { \
            TRANSLATE_##of \
            rv = hooks.name ? hooks.name args : real->name args; \
        } \
        leave(s, handle); \
        if (told.action == A_EXIT_AFTER) \
            _exit((int)told.code); \
        return told.action == A_FAIL_AFTER ? told.code : rv; \
    }
FUNCTIONS(WRAPPER)

static CK_FUNCTION_LIST ours = { { 2, 40 },
#define WRAPPED(name, of, params, args) .name = shim_##name,
    FUNCTIONS(WRAPPED)
};

static CK_FUNCTION_LIST hooks = {
    .C_Initialize = initialize, .C_Finalize = finalize, .C_GetSlotList = get_slot_list, .C_GetTokenInfo = get_token_info,
    .C_OpenSession = open_session, .C_CloseSession = close_session, .C_CloseAllSessions = close_all_sessions,
    .C_GetSessionInfo = get_session_info, .C_Login = login, .C_InitPIN = init_pin, .C_SetPIN = set_pin,
    .C_CreateObject = create_object, .C_CopyObject = copy_object, .C_DestroyObject = destroy_object,
    .C_SetAttributeValue = set_attribute_value, .C_FindObjects = find_objects, .C_GenerateKey = generate_key,
    .C_GenerateKeyPair = generate_key_pair, .C_UnwrapKey = unwrap_key, .C_DeriveKey = derive_key,
    .C_WrapKey = wrap_key, .C_EncryptInit = encrypt_init, .C_Encrypt = encrypt, .C_DecryptInit = decrypt_init,
    .C_Decrypt = decrypt, .C_SignInit = sign_init, .C_Sign = sign, .C_Digest = digest,
};

static void start(void)
{
    char beside[4096];
    const char *orders = getenv("STRONGROOM_SHIM_ORDERS"), *module = getenv("STRONGROOM_SHIM_MODULE");
    CK_RV (*get)(CK_FUNCTION_LIST **);
    void *library, *mapped;
    Dl_info self;
    int fd;

    if (!orders && dladdr((void *)start, &self)) {
        snprintf(beside, sizeof beside, "%s.orders", self.dli_fname);
        orders = beside;
    }
    fd = orders ? open(orders, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    mapped = mmap(NULL, N_WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED || ((uint64_t *)mapped)[W_MAGIC] != SHIM_MAGIC)
        return;
    words = mapped;
    library = dlopen(module ? module : (const char *)&words[MODULE_PATH], RTLD_NOW | RTLD_LOCAL);
    get = library ? (CK_RV (*)(CK_FUNCTION_LIST **))dlsym(library, "C_GetFunctionList") : NULL;
    if (!get || get(&real) != CKR_OK) {
        fprintf(stderr, "shim: no PKCS#11 module: %s\n", library ? "no C_GetFunctionList" : dlerror());
        real = NULL;
    }
}

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    pthread_once(&once, start);
    if (!real)
        return CKR_GENERAL_ERROR;
    ours.C_GetFunctionList = (CK_RV (*)(void **))C_GetFunctionList;
    *list = &ours;
    return CKR_OK;
}
