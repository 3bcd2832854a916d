"""Rules to begin with, one for every act: two security officers for members, officers and policy, two crypto officers for keys."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from strongroom.custody._documents import QuorumRule, Role

_DAY_S: Final = 86_400
_LONGEST_S: Final = 31 * _DAY_S


def _officers(days: int) -> QuorumRule:
    return QuorumRule(m=2, role=Role.SECURITY_OFFICER, expires_s=days * _DAY_S, standing=False)


def _keys(seconds: int, *, standing: bool = False) -> QuorumRule:
    return QuorumRule(m=2, role=Role.CRYPTO_OFFICER, expires_s=seconds, standing=standing)


DEFAULT_RULES: Final[Mapping[str, QuorumRule]] = MappingProxyType(
    {
        "AddMember": _officers(1),
        "AddOfficer": _officers(7),
        "AddOfficerKey": _officers(7),
        "ChangeOfficerRecipient": _officers(7),
        "ChangeOfficerRoles": _officers(7),
        "CreateBackup": _keys(_DAY_S, standing=True),
        "CreateHsmKey": _keys(_DAY_S, standing=True),
        "DestroyHsmKey": _keys(_LONGEST_S),
        "MakeAuditKey": _keys(7 * _DAY_S),
        "MakeBackupSet": _officers(7),
        "PruneAuditLog": _officers(7),
        "RemoveQuorumRule": _officers(7),
        "ReplaceHsmKey": _keys(_DAY_S),
        "ResetMember": _officers(1),
        "RestoreBackup": _officers(1),
        "RetireBackupSet": _officers(7),
        "RetireKeyVersion": _keys(_DAY_S),
        "RetireRoot": _keys(7 * _DAY_S),
        "RevokeOfficer": _officers(7),
        "RevokeOfficerKey": _officers(7),
        "RotatePin": _officers(7),
        "RotateRoot": _keys(_DAY_S),
        "ScheduleKeyDeletion": _keys(_DAY_S),
        "SetQuorumRule": _officers(7),
    }
)
"""A request for ``DestroyHsmKey`` lives as long as a rule may let it: it is used when the waiting period of a key is over."""
