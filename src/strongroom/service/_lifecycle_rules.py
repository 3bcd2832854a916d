"""What takes an approval in the life of keys. Where the home has officers they give it (``_approvals``); else the gate says."""

from typing import NamedTuple

from strongroom.core import ApprovalGate, ApprovalRequiredError, ClosedGate

_DAY_S = 86_400.0


class InRecentUseError(ApprovalRequiredError):
    """A key or a version was in use of late, and nobody approved of its end; the message is for the caller."""


class LifecycleRules(NamedTuple):
    """Which ends need an approval, and the gate that knows of approvals. Without one it refuses."""

    recent_use_days: int = 30
    """What was used within so many days is in recent use; 0: nothing is."""
    deletion_needs_approval: bool = False
    """Whether that goes for the deletion of keys too. Clients of AWS KMS know nothing of approvals."""
    gate: ApprovalGate = ClosedGate()

    @property
    def window_s(self) -> float:
        """How long ago the last use is recent."""
        return self.recent_use_days * _DAY_S

    def require_approval(self, verb: str, parameters: dict[str, object], finding: str) -> None:
        """Return if this was approved. Raises InRecentUseError, which says ``finding``."""
        try:
            self.gate.check(verb, parameters)
        except ApprovalRequiredError as error:
            raise InRecentUseError(
                f"{finding} within {self.recent_use_days} days, and no approval covers its end",
                next_step="wait, or show by an inventory that nobody needs it; this home has no officers who could approve it",
            ) from error
