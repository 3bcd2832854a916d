"""One function per verb: authorise, record the intent, act, record the outcome, answer.

    service = Service(keyring, audit, policy=KeyAuthority(book, AccessWriter(store, clock), is_tls=True))
    service.take_credentials({...})
    made = await service.encrypt(caller, KeyByAlias("alias/payroll"), Secret(b"..."), context={})

``KeyService`` is what the HTTP room is written against; ``ImmediateService`` is its express lane for uses of keys that are
in memory. Threading: a Service belongs to one event loop. It
knows nothing of HTTP, and nothing of AWS but the names of its verbs in the audit log.
"""

from strongroom.service._access_book import AccessBook
from strongroom.service._access_protocols import GrantInfo, GrantPage, MadeGrant, NewGrant
from strongroom.service._access_writer import AccessWriter
from strongroom.service._admin_protocol import (
    AccessKeyInfo,
    ListedKey,
    ListedKeyPage,
    PolicyCase,
    PolicyCheck,
    PrincipalInfo,
    PrincipalPage,
)
from strongroom.service._approval_errors import (
    SHOWN_ID,
    ApprovalLimitError,
    ApprovalNotFoundError,
    ApprovalOverError,
    ApprovalPendingError,
    CustodyBrokenError,
    CustodyNotKeptError,
    NoRuleError,
    NotExecutedError,
)
from strongroom.service._approval_reading import act_digest
from strongroom.service._approval_signing import SignatureDesk, Taken
from strongroom.service._approval_values import (
    JOBS,
    ApprovalInfo,
    ApprovalPage,
    ApprovalStanding,
    ApprovalTicket,
    Asker,
    CustodyInfo,
    EvidenceInfo,
    SignatureInfo,
)
from strongroom.service._approvals import ApprovalDesk
from strongroom.service._authority import FOR_EVERYBODY, Decision, Ground
from strongroom.service._context_values import KEY_BYTES as CONTEXT_KEY_BYTES
from strongroom.service._context_values import ContextValues
from strongroom.service._custody_book import ChainDocuments, CustodyBook
from strongroom.service._custody_verbs import CustodyKeeping
from strongroom.service._duties import OFFICERS_ALONE, Counted, Held, Officers, roles_that_count
from strongroom.service._errors import (
    AccessDeniedError,
    GrantLimitError,
    GrantNotFoundError,
    InactiveAccessKeyError,
    InvalidGrantTokenError,
    LockoutError,
    PoliciesNotKeptError,
    QuotaExceededError,
    UnfitGrantError,
)
from strongroom.service._grant_tokens import grant_of_token, make_grant_token
from strongroom.service._immediate import ImmediateService, Now
from strongroom.service._key_authority import KeyAuthority
from strongroom.service._lifecycle_rules import InRecentUseError, LifecycleRules
from strongroom.service._partition_policy import NotApprovedError, PartitionPolicy
from strongroom.service._policy import READING, ROLES_FOR, Role
from strongroom.service._quota_table import QuotaTable
from strongroom.service._quotas import Quota, QuotaRules, Quotas
from strongroom.service._refusals import RefusalRules, Refusals
from strongroom.service._root_rewraps import RootRewraps
from strongroom.service._service import Service
from strongroom.service._values import Caller, Credential, KeyService, Refusal

__all__ = [
    "CONTEXT_KEY_BYTES",
    "FOR_EVERYBODY",
    "JOBS",
    "OFFICERS_ALONE",
    "READING",
    "ROLES_FOR",
    "SHOWN_ID",
    "AccessBook",
    "AccessDeniedError",
    "AccessKeyInfo",
    "AccessWriter",
    "ApprovalDesk",
    "ApprovalInfo",
    "ApprovalLimitError",
    "ApprovalNotFoundError",
    "ApprovalOverError",
    "ApprovalPage",
    "ApprovalPendingError",
    "ApprovalStanding",
    "ApprovalTicket",
    "Asker",
    "Caller",
    "ChainDocuments",
    "ContextValues",
    "Counted",
    "Credential",
    "CustodyBook",
    "CustodyBrokenError",
    "CustodyInfo",
    "CustodyKeeping",
    "CustodyNotKeptError",
    "Decision",
    "EvidenceInfo",
    "GrantInfo",
    "GrantLimitError",
    "GrantNotFoundError",
    "GrantPage",
    "Ground",
    "Held",
    "ImmediateService",
    "InRecentUseError",
    "InactiveAccessKeyError",
    "InvalidGrantTokenError",
    "KeyAuthority",
    "KeyService",
    "LifecycleRules",
    "ListedKey",
    "ListedKeyPage",
    "LockoutError",
    "MadeGrant",
    "NewGrant",
    "NoRuleError",
    "NotApprovedError",
    "NotExecutedError",
    "Now",
    "Officers",
    "PartitionPolicy",
    "PoliciesNotKeptError",
    "PolicyCase",
    "PolicyCheck",
    "PrincipalInfo",
    "PrincipalPage",
    "Quota",
    "QuotaExceededError",
    "QuotaRules",
    "QuotaTable",
    "Quotas",
    "Refusal",
    "RefusalRules",
    "Refusals",
    "Role",
    "RootRewraps",
    "Service",
    "SignatureDesk",
    "SignatureInfo",
    "Taken",
    "UnfitGrantError",
    "act_digest",
    "grant_of_token",
    "make_grant_token",
    "roles_that_count",
]
