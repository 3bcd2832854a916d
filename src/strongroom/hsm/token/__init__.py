"""One token of an HSM made safe: exactly one token, one login, borrowed sessions, named keys, typed failures.

    module = Module.load(profile.find_module())
    token = Token.open(module, TokenSelector(label="member-1"), pin, profile=profile)
    wrapped = token.wrap(root_id, Secret(key_bytes), aad)
    assert token.unwrap(root_id, wrapped, aad).matches(Secret(key_bytes))

Sessions and threads:

1. Login belongs to the whole process, so one session logs in, is pinned and does no work; a process opens a token
   once, as user or as security officer, and logs out when it closes it.
2. Every verb may be called from any thread. It borrows a work session for the length of the call; a session in
   which anything failed is thrown away. How many threads a module takes well is in its profile.
3. Keys are named by CKA_ID and class. Their handles are cached for this process and forgotten with any session
   that is lost.

A failure is healed in place as far as that goes (docs/recovery.md): a new session, a new login, C_Finalize and
C_Initialize. Use verbs are repeated after each rung; what creates or destroys is not, but looked up. What it cannot
heal marks the token as broken: the process is to exit and be started again. This room does not choose members, ask
for approvals or interrupt a call that hangs.
"""

from strongroom.hsm.token._audit_logging import AuditLogging, known_audit_logging, load_audit_logging
from strongroom.hsm.token._batch import TokenBatch
from strongroom.hsm.token._card import MAX_CARD_VALUE_BYTES, Card, CardKey, CardSelector, CardValue
from strongroom.hsm.token._counters import RecoveryCounters
from strongroom.hsm.token._data_objects import DataVerbs
from strongroom.hsm.token._direct import DirectVerbs
from strongroom.hsm.token._initialise import initialise_token, make_token, reset_token, set_user_pin
from strongroom.hsm.token._noted_module import NotedModule, UseNotes
from strongroom.hsm.token._pin import PinAttempts, PinTry, UnkeptAttempts
from strongroom.hsm.token._pin_change import KeptValues, PinNotChangedError, change_pin, prove_pin
from strongroom.hsm.token._profile import WRAP_PREFERENCE, Profile, known_profiles, load_profile
from strongroom.hsm.token._self_test import WrapAbility
from strongroom.hsm.token._softhsm_store import (
    StoreReport,
    protect_softhsm_store,
    sync_softhsm_store,
    write_softhsm_config,
)
from strongroom.hsm.token._token import Token
from strongroom.hsm.token._transport import TransportVerbs
from strongroom.hsm.token._transport_setup import TransportName
from strongroom.hsm.token._values import (
    KeyCheckValue,
    ObjectSummary,
    Role,
    TokenIdentity,
    TokenSelector,
)
from strongroom.hsm.token._vendor_duties import VendorDuties, known_duties, load_duties

__all__ = [
    "MAX_CARD_VALUE_BYTES",
    "WRAP_PREFERENCE",
    "AuditLogging",
    "Card",
    "CardKey",
    "CardSelector",
    "CardValue",
    "DataVerbs",
    "DirectVerbs",
    "KeptValues",
    "KeyCheckValue",
    "NotedModule",
    "ObjectSummary",
    "PinAttempts",
    "PinNotChangedError",
    "PinTry",
    "Profile",
    "RecoveryCounters",
    "Role",
    "StoreReport",
    "Token",
    "TokenBatch",
    "TokenIdentity",
    "TokenSelector",
    "TransportName",
    "TransportVerbs",
    "UnkeptAttempts",
    "UseNotes",
    "VendorDuties",
    "WrapAbility",
    "change_pin",
    "initialise_token",
    "known_audit_logging",
    "known_duties",
    "known_profiles",
    "load_audit_logging",
    "load_duties",
    "load_profile",
    "make_token",
    "protect_softhsm_store",
    "prove_pin",
    "reset_token",
    "set_user_pin",
    "sync_softhsm_store",
    "write_softhsm_config",
]
