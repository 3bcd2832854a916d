/* The orders file of the fault shim: 2,048 words of 64 bits in the machine's own order, mapped by every process that
 * loads the shim and by the test. fault_shim.py reads the numbers below out of this file, so there is one list of them.
 *
 *   words 0 to 127      settings, which the test writes, and global counters, which the shim writes
 *   words 128 to 255    calls per function, in the order of CK_FUNCTION_LIST
 *   words 256 to 511    path of the real module, ended by a zero byte (STRONGROOM_SHIM_MODULE goes before it)
 *   words 512 to 639    64 keys that are hidden still: hash of the CKA_ID, and when it ends (CLOCK_MONOTONIC, ns)
 *   words 640 to 655    hashes (FNV-1a) of the PINs that were refused
 *   words 1024 to 2047  64 rules of 16 words
 *
 * A rule is written field by field and its R_ACTIVE last; the shim reads R_ACTIVE first. */

#ifndef STRONGROOM_SHIM_ORDERS_H
#define STRONGROOM_SHIM_ORDERS_H

#define SHIM_MAGIC 0x31304d4948535253ULL /* "SRSHIM01" */
enum { N_WORDS = 2048, CALLS = 128, MODULE_PATH = 256, HIDDEN = 512, N_HIDDEN = 64, REFUSED = 640, N_REFUSED = 16,
       RULES = 1024, N_RULES = 64, RULE_WORDS = 16 };

enum {
    W_MAGIC = 0,
    /* settings */
    W_IV_MODE = 2,            /* 0 caller's, 1 own one into pIv, 2 own one behind the tag, 3 own one before the ciphertext */
    W_IV_LEN = 3,             /* of an own IV */
    W_SESSION_CAP = 4,        /* sessions of a process; 0 is none */
    W_TOLD_SESSION_CAP = 5,   /* what C_GetTokenInfo says of it; 0: what the real token says */
    W_IDLE_NS = 6,            /* sessions unused for so long are closed; 0 is never */
    W_SLOTS_CHANGED = 7,      /* 0: real slot numbers; else 0, 1, 2.. rotated by W_SLOT_SHIFT */
    W_SLOT_SHIFT = 8,
    W_HIDE_NS = 9,            /* how long a new key is not found and not usable */
    W_RATE_INTERVAL_NS = 10,  /* one operation in so many ns; 0 is no limit */
    W_RATE_BURST_NS = 11,     /* how far ahead a burst may run */
    W_RATE_CODE = 12,         /* what is answered beyond it */
    W_RATE_TAT = 13,          /* the limiter's own state */
    W_LINK_EPOCH = 14,        /* changes: every process gets CKR_DEVICE_ERROR until it has finalised and initialised */
    W_LINK_DOWN = 15,         /* not 0: C_Initialize fails too */
    W_TOKEN_EPOCH = 16,       /* changes: CKR_TOKEN_NOT_PRESENT until finalised and initialised */
    W_TOKEN_AWAY = 17,        /* not 0: not present after that either */
    W_LOGOUT_EPOCH = 18,      /* changes: every process is logged out behind its back */
    W_PIN_LIMIT = 19,         /* wrong PINs until the token locks; 0: as the real token does */
    W_USER_WRONG = 20,        /* wrong PINs in a row, as a token counts them */
    W_SO_WRONG = 21,
    W_WRITE_PROTECTED = 22,   /* not 0: token objects cannot be made, changed or destroyed */
    W_NO_READ_ONLY = 23,      /* not 0: C_OpenSession without CKF_RW_SESSION is CKR_FUNCTION_FAILED */
    W_MAX_DATA = 24,          /* most bytes that C_Encrypt, C_Decrypt, C_Sign and C_Digest take; 0 is no limit */
    W_REFUSED_ATTRIBUTE = 25, /* a template that holds this attribute is refused; 0 is none (CKA_CLASS cannot be) */
    W_REFUSED_CODE = 26,      /* with this code */
    W_PRINTS = 27,            /* not 0: C_Initialize writes a line to standard output */
    /* counters */
    W_LOGINS = 40,            /* C_Login as user that got as far as the token or its lock */
    W_SO_LOGINS = 41,
    W_REFUSED_LOGINS = 42,    /* CKR_PIN_INCORRECT or CKR_PIN_LOCKED */
    W_REPEATED_PINS = 43,     /* a PIN that was refused before and was tried again */
    W_OPEN_SESSIONS = 44,     /* of all living processes that ended them properly */
    W_MOST_SESSIONS = 45,     /* most sessions that one process had at once */
    W_DROPPED_SESSIONS = 46,  /* closed for idleness */
    W_OVERLAPS = 47,          /* a call in a session in which another call was under way */
    W_FOREIGN_CALLS = 48,     /* calls of a process that did not initialise: a child after fork */
    W_UNLOCKED_INITIALISES = 49, /* C_Initialize without CKF_OS_LOCKING_OK */
    W_THROTTLED = 50,
    W_INITIALISED_PROCESSES = 51 /* C_Initialize that succeeded */
};

enum { R_ACTIVE, R_FUNCTION, R_ACTION, R_ARGUMENT, R_FIRST, R_LAST, R_CHANCE, R_STATE, R_UNTIL, R_SEEN, R_HITS, R_HOLDING };
enum { ANY_FUNCTION = 255 };
enum {
    A_DELAY = 1,   /* the argument is in ns */
    A_HANG = 2,    /* until the rule is lifted */
    A_FAIL = 3,    /* return the argument without calling the real module */
    A_FAIL_AFTER = 4, /* call the real module, then return the argument */
    A_ABORT = 5,
    A_EXIT = 6,    /* the argument is the status */
    A_EXIT_AFTER = 7 /* call the real module, then end the process with that status */
};

#endif
