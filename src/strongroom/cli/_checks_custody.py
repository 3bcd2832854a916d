"""Checks of ``doctor`` that look at custody: configuration, genesis and database tell of the same officers, and the rules can be met."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from strongroom.cli._checks import Finding
from strongroom.config import Config, Home

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.custody import CustodyState, QuorumRule

_NAME: Final = "custody"
_COPIES: Final = "put the genesis back from a copy that officers keep; nobody serves without it"


def check_custody(home: Home, config: Config) -> Iterator[Finding]:
    """Verify the chain from the genesis that the configuration names. Raises ChainError, StorageError and OSError."""
    from strongroom.custody import MAX_DOCUMENT_BYTES, Chain, document_hash

    if config.custody is None:
        if home.genesis_file.exists():
            yield Finding(_NAME, "fail", f"there is a genesis at {home.genesis_file}, and the configuration names none", "write [custody] genesis_sha256 back into strongroom.toml")  # fmt: skip
        return
    if not home.genesis_file.is_file():
        yield Finding(_NAME, "fail", f"there is no genesis at {home.genesis_file}", _COPIES)
        return
    with home.genesis_file.open("rb") as file:
        genesis = file.read(MAX_DOCUMENT_BYTES + 1)
    if document_hash(genesis) != config.custody.genesis_sha256:
        yield Finding(_NAME, "fail", "the genesis of the home is another than the one that the configuration names", _COPIES)  # fmt: skip
        return
    documents = _documents(home)
    if not documents or documents[0] != genesis:
        yield Finding(_NAME, "fail", "the database begins with another genesis than the home, or with none", "restore home and database from one backup")  # fmt: skip
        return
    state = Chain.from_documents(genesis, documents[1:]).state
    officers = sum(not officer.is_revoked for officer in state.officers.values())
    yield Finding(
        _NAME, "ok", f"{officers} officers and {len(state.rules)} rules after record {state.sequence}"
    )
    yield from _worries(state)
    yield Finding(_NAME, "note", "which record each member has pinned cannot be seen from here: its worker compares when it starts")  # fmt: skip


def _documents(home: Home) -> list[bytes]:
    from strongroom.storage import ReadOnlyStore

    with ReadOnlyStore.open(home.database) as store:
        return [record.document for record in store.get_custody_documents()]


def _worries(state: "CustodyState") -> Iterator[Finding]:
    """Rules that cannot be met, or only just, by the officers of now."""
    from strongroom.custody import DEFAULT_RULES, Role

    for role in Role:
        n_signers = len(state.signers(role))
        people = "is 1 person who is" if n_signers == 1 else f"are {n_signers} people who are"
        beyond = _verbs(state.rules, role, range(n_signers + 1, 17))
        if beyond:
            yield Finding(_NAME, "warn", f"there {people} {role}: too few for {beyond}", "add officers, or change the rules")  # fmt: skip
        only_just = _verbs(state.rules, role, range(max(n_signers, 2), n_signers + 1))
        if only_just:
            yield Finding(_NAME, "warn", f"all {n_signers} people who are {role} are needed for {only_just}", "add one more: who is away or loses a key stops it")  # fmt: skip
    without = sorted(DEFAULT_RULES.keys() - state.rules.keys())
    if without:
        yield Finding(_NAME, "note", f"these acts have no rule, so nobody can have them done: {', '.join(without)}", "set one if they are ever needed")  # fmt: skip
    if "RestoreBackup" in without:
        yield Finding(_NAME, "warn", "RestoreBackup has no rule: backups made now cannot be restored by 'strongroom backup restore'", "set one, and make a backup after that")  # fmt: skip
    unreachable = sorted(one.id for one in state.signers(Role.SECURITY_OFFICER) if not one.recipient)
    if unreachable:
        yield Finding(_NAME, "warn", f"no PIN can be delivered to {', '.join(unreachable)}", "give them a recipient: ChangeOfficerRecipient")  # fmt: skip


def _verbs(rules: Mapping[str, "QuorumRule"], role: str, wanted: range) -> str:
    return ", ".join(sorted(verb for verb, rule in rules.items() if rule.role == role and rule.m in wanted))
