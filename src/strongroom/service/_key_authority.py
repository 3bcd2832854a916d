"""``KeyAuthority``: decides by the key's policy, the roles of the access key, and grants, as AWS KMS does.

    explicit deny in the key's policy               → no, whatever else
    a statement that names the principal            → yes
    a statement that names the account, and roles   → yes; the default policy is this one statement
    a grant to the principal                        → yes
    anything else                                   → no

Before all of it: a principal that is an auditor does nothing but read, whatever policies and grants say. Whether a key exists is told only to those whose roles allow the verb at all.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from strongroom.core import StrongroomError
from strongroom.envelope import Blob, MalformedBlobError
from strongroom.keyring import AliasNotFoundError, KeyByAlias, KeyById, KeyNotFoundError, KeyRef
from strongroom.policy import (
    AccessRequest,
    GrantTerms,
    KeyFacts,
    PolicyAnswer,
    PolicyDocument,
    Says,
    principal_arn,
)
from strongroom.service._access_book import AccessBook
from strongroom.service._access_writer import AccessWriter
from strongroom.service._authority import (
    BY_GRANT,
    EVERYBODY,
    FOR_EVERYBODY,
    NO_CONTEXT,
    NO_VALUES,
    Decision,
    Ground,
)
from strongroom.service._caller import Caller
from strongroom.service._errors import AccessDeniedError, InactiveAccessKeyError, InvalidGrantTokenError
from strongroom.service._grant_tokens import grant_of_token
from strongroom.service._partition_policy import PartitionPolicy
from strongroom.service._policy import READING
from strongroom.storage import GrantRecord, KeyRecord

ABOUT_NO_KEY: Final = FOR_EVERYBODY | frozenset(
    """
    CreateKey ListKeys ListAliases GenerateRandom ReadStatus ListRetirableGrants CreateCustomKeyStore
    ConnectCustomKeyStore DeleteCustomKeyStore DescribeCustomKeyStores DisconnectCustomKeyStore UpdateCustomKeyStore
    """.split()  # noqa: SIM905
)
"""Verbs that roles alone decide about: what they are done to is not one key."""
ALSO_BY_ROLES: Final = frozenset({"CreateAlias", "UpdateAlias", "DeleteAlias"})
"""Verbs that roles must allow too: an alias belongs to no key's policy alone."""

_SID: Final = re.compile(r"[A-Za-z][0-9A-Za-z_.-]{0,63}")
"""Names of statements that the audit log tells; of others it tells the number."""
_BY_ROLES: Final = Decision(True, Ground.ROLES)
_BY_NOTHING: Final = Decision(False, Ground.NOTHING)
_EVERYBODY: Final = Decision(True, Ground.EVERYBODY)
_INACTIVE: Final = Decision(False, Ground.INACTIVE)
_AUDITOR: Final = Decision(False, Ground.AUDITOR)


class _Question(NamedTuple):
    """A request."""

    caller: Caller
    verb: str
    key: KeyRef | None
    context: Mapping[str, str]
    further: Mapping[str, tuple[str, ...]]


class _Asked(NamedTuple):
    """A request about a key that is there."""

    record: KeyRecord
    caller: Caller
    verb: str
    key: KeyRef | None
    context: Mapping[str, str]
    further: Mapping[str, tuple[str, ...]]


class KeyAuthority:
    """Decides about callers by what is in memory or one short read away. Belongs to one event loop."""

    def __init__(
        self,
        book: AccessBook,
        writer: AccessWriter | None,
        *,
        is_tls: bool,
        partition: PartitionPolicy | None = None,
    ) -> None:
        """``is_tls``: whether callers reach this service by TLS. ``writer``: None where only questions are answered.

        ``partition``: what a home in FIPS mode refuses to everybody; None where it is not in that mode.
        """
        self.book = book
        self.writer = writer
        self.partition = partition
        self._is_tls = is_tls

    def authorise_now(
        self,
        caller: Caller,
        verb: str,
        key: KeyRef | None = None,
        *,
        ciphertext: bytes | None = None,
        context: Mapping[str, str] = NO_CONTEXT,
        further: Mapping[str, tuple[str, ...]] = NO_VALUES,
    ) -> str:
        """Return if the caller may: what allows it, as the audit log says that (``allowed_by``).

        ``key`` is what the request names; ``ciphertext`` names its key where the request does not. ``further``: values of
        condition keys that this verb alone has. Raises AccessDeniedError, InvalidGrantTokenError, InactiveAccessKeyError,
        NotApprovedError, StorageError.
        """
        book = self.book
        book.refresh()
        book.used.add(caller.access_key_id)
        if not book.has_policies and not caller.grant_tokens:
            # The usual case, decided without a look at the key: no key has a policy that says more than the default one.
            verbs = book.verbs_of(caller.access_key_id)
            allowed_by = None if verbs is None else verbs.get(verb)
            if allowed_by is not None:
                if self.partition is not None:
                    self._require_approved(verb, key, ciphertext, further)
                return allowed_by
        for token in caller.grant_tokens:
            grant_id = grant_of_token(token)
            if grant_id is None or not book.has_grant(grant_id):
                raise InvalidGrantTokenError
        decision = self.decide(caller, verb, key, ciphertext=ciphertext, context=context, further=further)
        if decision.is_allowed:
            if self.partition is not None:
                self._require_approved(verb, key, ciphertext, further)
            return self._allowed_by(decision, caller, verb)
        if decision.ground is Ground.INACTIVE:
            raise InactiveAccessKeyError(caller.principal, verb)
        raise AccessDeniedError(caller.principal, verb)

    def _allowed_by(self, decision: Decision, caller: Caller, verb: str) -> str:
        """Say what a decision that allows rests on, as the audit log does."""
        if decision.ground is Ground.GRANT:
            return BY_GRANT + decision.grant_id
        if decision.ground is Ground.POLICY and decision.answer is not None:
            _, number, sid, _ = decision.answer
            return f"policy:{sid if _SID.fullmatch(sid) else number}"
        verbs = self.book.verbs_of(caller.access_key_id)
        return EVERYBODY if verbs is None else verbs.get(verb, EVERYBODY)

    def _require_approved(
        self,
        verb: str,
        key: KeyRef | None,
        ciphertext: bytes | None,
        further: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Return if the policy of the partition lets anybody do this. Raises NotApprovedError, StorageError."""
        partition = self.partition
        if partition is None or verb not in partition.restricted or (key is None and ciphertext is None):
            return
        try:
            record = self._find(key, ciphertext)
        except (KeyNotFoundError, AliasNotFoundError, MalformedBlobError):
            return  # the verb itself says that there is no such key
        partition.require_used(verb, record, further)

    def decide(
        self,
        caller: Caller,
        verb: str,
        key: KeyRef | None = None,
        *,
        ciphertext: bytes | None = None,
        context: Mapping[str, str] = NO_CONTEXT,
        further: Mapping[str, tuple[str, ...]] = NO_VALUES,
    ) -> Decision:
        """Decide, and say what that rests on. Raises StorageError."""
        self.book.refresh()
        verbs = self.book.verbs_of(caller.access_key_id)
        if verbs is None or verb in FOR_EVERYBODY:
            return _INACTIVE if verbs is None else _EVERYBODY
        if verb not in READING and self.book.is_auditor(caller.principal):
            return _AUDITOR
        return self._decide_about_key(
            _Question(caller, verb, key, context, further), ciphertext, may_by_roles=verb in verbs
        )

    def _decide_about_key(
        self, question: _Question, ciphertext: bytes | None, *, may_by_roles: bool
    ) -> Decision:
        verb, key = question.verb, question.key
        if verb in ABOUT_NO_KEY or (key is None and ciphertext is None):
            return _of_policy(None, may_by_roles=may_by_roles)
        if verb in ALSO_BY_ROLES and not may_by_roles:
            return _BY_NOTHING
        try:
            record = self._find(key, ciphertext)
        except StrongroomError as error:
            if not isinstance(error, KeyNotFoundError | AliasNotFoundError | MalformedBlobError):
                raise
            # The verb itself says that there is no such key, to those who may know.
            return _BY_ROLES if may_by_roles else Decision(False, Ground.NO_SUCH_KEY)
        document = self.book.policy_of(record.key_id)
        if document is None and may_by_roles:
            return _BY_ROLES
        asked = _Asked(record, *question)
        answer = None if document is None else self._answer(document, asked)
        decision = _of_policy(answer, may_by_roles=may_by_roles)
        return decision if verb in ALSO_BY_ROLES else self._with_grants(decision, asked)

    def authorise_retiring(self, caller: Caller, grant: GrantRecord) -> str:
        """Return if the caller may retire a grant: by policy or roles, or since the grant itself says so.

        A grant that allows RetireGrant allows its grantee to retire that one grant. Raises as ``authorise_now``.
        """
        decision = self.decide(caller, "RetireGrant", KeyById(grant.key_id))
        if decision.is_allowed and decision.ground is not Ground.GRANT:
            return self._allowed_by(decision, caller, "RetireGrant")
        arn = self.arn_of(caller)
        is_in_grant = arn == grant.retiring or (arn == grant.grantee and "RetireGrant" in grant.actions)
        if is_in_grant and decision.ground in {Ground.GRANT, Ground.NOTHING, Ground.NO_SUCH_KEY}:
            return BY_GRANT + grant.grant_id
        raise AccessDeniedError(caller.principal, "RetireGrant")

    def has_grant_that_includes(self, key_id: str, caller: Caller, terms: GrantTerms) -> bool:
        """Whether the caller has a grant on a key by which it may make grants of these terms."""
        grants = self.book.grants_of(key_id, self.arn_of(caller)).terms.values()
        return any("CreateGrant" in held.actions and held.include(terms) for held in grants)

    def would_allow(self, document: PolicyDocument, caller: Caller, verb: str, key: KeyFacts) -> bool:
        """Whether, with this policy on a key, the caller may do this without a grant."""
        says = document.answer(self._request(key, caller, verb, NO_CONTEXT, NO_VALUES)).says
        verbs = self.book.verbs_of(caller.access_key_id) or {}
        return says is Says.ALLOW or (says is Says.DELEGATE and verb in verbs)

    def arn_of(self, caller: Caller) -> str:
        """Return the ARN of the caller's principal."""
        return principal_arn(self.book.account_id, caller.principal)

    def _find(self, key: KeyRef | None, ciphertext: bytes | None) -> KeyRecord:
        if key is not None:
            return self.book.find(key)
        return self.book.find_in_blob(Blob.parse(ciphertext or b"").wrapping_key_id)

    def _answer(self, document: PolicyDocument, asked: _Asked) -> PolicyAnswer:
        always = document.answer_always(asked.verb, self.arn_of(asked.caller), self.book.account_id)
        if always is not None:
            return always
        record, further = asked.record, asked.further
        if isinstance(asked.key, KeyByAlias):
            further = {**further, "kms:requestalias": (asked.key.alias_name,)}
        facts = KeyFacts(record.key_id, record.spec, record.usage, record.origin)
        return document.answer(self._request(facts, asked.caller, asked.verb, asked.context, further))

    def _with_grants(self, decision: Decision, asked: _Asked) -> Decision:
        """Let a grant allow what nothing else allows; what is denied stays so."""
        if decision.ground is not Ground.NOTHING:
            return decision
        grants = self.book.grants_of(asked.record.key_id, self.arn_of(asked.caller))
        grant_id = grants.find(asked.verb, asked.context)
        if grant_id is None:
            return decision
        return Decision(True, Ground.GRANT, decision.answer, grant_id)

    def _request(
        self,
        key: KeyFacts,
        caller: Caller,
        verb: str,
        context: Mapping[str, str],
        further: Mapping[str, tuple[str, ...]],
    ) -> AccessRequest:
        return AccessRequest(
            verb,
            principal_arn=self.arn_of(caller),
            account_id=self.book.account_id,
            key=key,
            context=context,
            source_address=caller.source_address,
            is_tls=self._is_tls,
            further=further,
        )


def _of_policy(answer: PolicyAnswer | None, *, may_by_roles: bool) -> Decision:
    """Decide by what the key's policy says, where it has one, and by roles."""
    if answer is None:
        return _BY_ROLES if may_by_roles else _BY_NOTHING
    if answer.says is Says.DENY:
        return Decision(False, Ground.TOO_COSTLY if answer.is_too_costly else Ground.DENIED, answer)
    if answer.says is Says.ALLOW:
        return Decision(True, Ground.POLICY, answer)
    if answer.says is Says.DELEGATE and may_by_roles:
        return Decision(True, Ground.ROLES, answer)
    return Decision(False, Ground.NOTHING, answer)
