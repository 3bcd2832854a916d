"""What a token of a home in FIPS mode does not do, whoever asks: this is in the process that has the PIN."""

from strongroom.core import HsmKey, HsmRequestError, WrapAlgorithm, why_not_approved


class ApprovedUse:
    """Lets everything through, or what is approved alone. Immutable."""

    def __init__(self, *, is_only: bool) -> None:
        self._is_only = is_only

    def require_key(self, key: HsmKey) -> None:
        """Return if a Direct key may be made or used. Raises HsmRequestError.

        Looking at one, copying it to a member that lacks it, and destroying it are not asked for here: a home that goes over to
        FIPS mode has keys that are not approved, and its members must agree about them until they are destroyed.
        """
        self._require(key.spec)

    def require_wrapping(self, algorithm: WrapAlgorithm) -> None:
        """Return if roots may wrap so. Raises HsmRequestError."""
        self._require(algorithm.name)

    def _require(self, name: str) -> None:
        why = why_not_approved(name) if self._is_only else None
        if why is not None:
            raise HsmRequestError(
                f"this member is in FIPS mode, and {name} is not approved: {why}",
                next_step="take a key spec that is approved; docs/authorisation.md lists them",
            )
