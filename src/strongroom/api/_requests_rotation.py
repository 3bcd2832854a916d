"""Members of the requests about rotation. See ``_requests``."""

from strongroom.api._constraints import Violations
from strongroom.api._requests import KeyMembers
from strongroom.keyring import MAX_ROTATION_DAYS, MIN_ROTATION_DAYS

ROTATIONS_ONLY = "ROTATIONS_ONLY"
ALL_KEY_MATERIAL = "ALL_KEY_MATERIAL"
INCLUDE_KEY_MATERIAL = (ALL_KEY_MATERIAL, ROTATIONS_ONLY)


class EnableKeyRotationMembers(KeyMembers, frozen=True, kw_only=True):
    """EnableKeyRotation."""

    rotation_period_in_days: int | None = None

    def validate(self) -> None:
        """Check the constraints."""
        super().validate()
        found = Violations()
        found.between(
            "rotationPeriodInDays", self.rotation_period_in_days, MIN_ROTATION_DAYS, MAX_ROTATION_DAYS
        )
        found.check()


class ListKeyRotationsMembers(KeyMembers, frozen=True, kw_only=True):
    """ListKeyRotations."""

    include_key_material: str | None = None
    limit: int | None = None
    marker: str | None = None

    def validate(self) -> None:
        """Check the constraints."""
        super().validate()
        found = Violations()
        found.one_of("includeKeyMaterial", self.include_key_material, INCLUDE_KEY_MATERIAL)
        found.between("limit", self.limit, 1, 1_000)
        found.length("marker", self.marker, 1, 1_024)
        found.check()
