"""The people side as cryptography: documents that officers sign, and the rules by which signatures count.

    >>> from strongroom.custody import canonical_json
    >>> canonical_json({"b": 2, "a": [True, "€"]}).decode()
    '{"a":[true,"€"],"b":2}'

Pure: no clock, no disk, no network; callers bring bytes and the time. Everything is frozen and safe to use from any
thread. The room does not decide who may call the service (``service`` does), and keeps nothing (``UsedNonces`` is the
caller's).
"""

from strongroom.custody._act_calls import Often, Part, acts_covering, is_free, part_covered
from strongroom.custody._acts import ACTS, LATE_ACTS, LATE_S, MAX_HSM_KEYS, SESSION_S, read_act
from strongroom.custody._agent import (
    MAX_AGENT_ANSWER_BYTES,
    AgentIdentity,
    agent_answer_bytes,
    identities_request,
    read_agent_signature,
    read_identities,
    sign_request,
)
from strongroom.custody._canonical import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    Json,
    canonical_json,
    parse_canonical,
)
from strongroom.custody._card_uri import CARD_SCHEME, CardUri
from strongroom.custody._chain import Chain, check_genesis_body
from strongroom.custody._changes import changed_state
from strongroom.custody._default_rules import DEFAULT_RULES
from strongroom.custody._documents import (
    MAX_APPROVALS,
    MAX_REQUEST_BYTES,
    ApprovalRequest,
    Enrolment,
    EnrolmentBody,
    Evidence,
    Genesis,
    GenesisBody,
    Person,
    QuorumRule,
    Record,
    Role,
    document_hash,
    read_document,
    write_document,
)
from strongroom.custody._enrolment import (
    MAX_ENROLMENT_BYTES,
    make_enrolment,
    person_enrolled,
    verify_enrolment,
)
from strongroom.custody._errors import (
    ApprovalRefusedError,
    ChainError,
    CustodyError,
    MalformedDocumentError,
    OfficerKeyError,
    Refusal,
    SignatureRefusedError,
    StateRefusedError,
)
from strongroom.custody._evidence import (
    MAX_EVIDENCE_BYTES,
    UseEvidence,
    VerifiedEvidence,
    make_evidence,
    make_use_evidence,
    verify_evidence,
)
from strongroom.custody._gate import MAX_ADMITTED, ActGate
from strongroom.custody._genesis_words import (
    describe_enrolment,
    describe_genesis,
    describe_hash,
    genesis_warnings,
    hash_of_body,
    rule_in_words,
)
from strongroom.custody._key_files import (
    KDF_ROUNDS,
    MAX_KEY_FILE_BYTES,
    MIN_PASSPHRASE_BYTES,
    OfficerPrivateKey,
)
from strongroom.custody._officer_keys import KeyKind, OfficerKey
from strongroom.custody._pin import MAX_PIN_BYTES, Pin, newest_pin, read_pin_document, write_pin
from strongroom.custody._quorum import (
    MAX_CLOCK_SKEW_S,
    Approver,
    require_quorum,
    require_standing,
    rule_of,
)
from strongroom.custody._recipients import check_recipient
from strongroom.custody._requests import (
    Granted,
    OpenRequest,
    Phase,
    UsedNonces,
    execute,
    new_request,
)
from strongroom.custody._spent_acts import UNDO_S, SpentActs
from strongroom.custody._spoken import spoken
from strongroom.custody._ssh_signatures import (
    MAX_SIGNATURE_BYTES,
    NAMESPACE_APPROVAL,
    NAMESPACE_ENROLMENT,
    NAMESPACE_GENESIS,
    NAMESPACE_REJECTION,
    OfficerSigner,
    armour,
    dearmour,
    key_of_signature,
    signature_from_base64,
    signature_from_raw,
    signature_to_base64,
    signed_bytes,
    verify_signature,
)
from strongroom.custody._standing import NO_USES, StandingUses, require_covered, use_standing
from strongroom.custody._standing_terms import (
    MAX_STANDING_S,
    STANDING_VERB,
    StandingTerms,
    UsesSoFar,
    standing_terms,
)
from strongroom.custody._state import CUSTODY_VERBS, CustodyState, Officer
from strongroom.custody._used_lines import UsedLines, has_form, head_line, with_checksum
from strongroom.custody._words import VERB_WORDS, describe_request, neutral

__all__ = [
    "ACTS",
    "CARD_SCHEME",
    "CUSTODY_VERBS",
    "DEFAULT_RULES",
    "KDF_ROUNDS",
    "LATE_ACTS",
    "LATE_S",
    "MAX_ADMITTED",
    "MAX_AGENT_ANSWER_BYTES",
    "MAX_APPROVALS",
    "MAX_CLOCK_SKEW_S",
    "MAX_DEPTH",
    "MAX_DOCUMENT_BYTES",
    "MAX_ENROLMENT_BYTES",
    "MAX_EVIDENCE_BYTES",
    "MAX_HSM_KEYS",
    "MAX_KEY_FILE_BYTES",
    "MAX_PIN_BYTES",
    "MAX_REQUEST_BYTES",
    "MAX_SIGNATURE_BYTES",
    "MAX_STANDING_S",
    "MIN_PASSPHRASE_BYTES",
    "NAMESPACE_APPROVAL",
    "NAMESPACE_ENROLMENT",
    "NAMESPACE_GENESIS",
    "NAMESPACE_REJECTION",
    "NO_USES",
    "SESSION_S",
    "STANDING_VERB",
    "UNDO_S",
    "VERB_WORDS",
    "ActGate",
    "AgentIdentity",
    "ApprovalRefusedError",
    "ApprovalRequest",
    "Approver",
    "CardUri",
    "Chain",
    "ChainError",
    "CustodyError",
    "CustodyState",
    "Enrolment",
    "EnrolmentBody",
    "Evidence",
    "Genesis",
    "GenesisBody",
    "Granted",
    "Json",
    "KeyKind",
    "MalformedDocumentError",
    "Officer",
    "OfficerKey",
    "OfficerKeyError",
    "OfficerPrivateKey",
    "OfficerSigner",
    "Often",
    "OpenRequest",
    "Part",
    "Person",
    "Phase",
    "Pin",
    "QuorumRule",
    "Record",
    "Refusal",
    "Role",
    "SignatureRefusedError",
    "SpentActs",
    "StandingTerms",
    "StandingUses",
    "StateRefusedError",
    "UseEvidence",
    "UsedLines",
    "UsedNonces",
    "UsesSoFar",
    "VerifiedEvidence",
    "acts_covering",
    "agent_answer_bytes",
    "armour",
    "canonical_json",
    "changed_state",
    "check_genesis_body",
    "check_recipient",
    "dearmour",
    "describe_enrolment",
    "describe_genesis",
    "describe_hash",
    "describe_request",
    "document_hash",
    "execute",
    "genesis_warnings",
    "has_form",
    "hash_of_body",
    "head_line",
    "identities_request",
    "is_free",
    "key_of_signature",
    "make_enrolment",
    "make_evidence",
    "make_use_evidence",
    "neutral",
    "new_request",
    "newest_pin",
    "parse_canonical",
    "part_covered",
    "person_enrolled",
    "read_act",
    "read_agent_signature",
    "read_document",
    "read_identities",
    "read_pin_document",
    "require_covered",
    "require_quorum",
    "require_standing",
    "rule_in_words",
    "rule_of",
    "sign_request",
    "signature_from_base64",
    "signature_from_raw",
    "signature_to_base64",
    "signed_bytes",
    "spoken",
    "standing_terms",
    "use_standing",
    "verify_enrolment",
    "verify_evidence",
    "verify_signature",
    "with_checksum",
    "write_document",
    "write_pin",
]
