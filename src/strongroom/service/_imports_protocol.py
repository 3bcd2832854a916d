"""What the service promises about imported key material; a part of ``KeyService``."""

from typing import Protocol

from strongroom.keyring import BroughtMaterial, ImportedMaterial, ImportParameters, WrappingAlgorithm
from strongroom.service._caller import Caller


class ImportService(Protocol):
    """The verbs on keys whose owner brings the material. All raise ImportUnsupportedError for other keys."""

    async def get_parameters_for_import(
        self, caller: Caller, key_id: str, *, algorithm: WrappingAlgorithm, bits: int
    ) -> ImportParameters:
        """Make a key to wrap material under. Raises WrappingUnsupportedError, DestructionScheduledError, TooBusyError."""
        ...

    async def import_key_material(
        self, caller: Caller, key_id: str, *, brought: BroughtMaterial
    ) -> ImportedMaterial:
        """Take material in.

        Raises ImportTokenError, InvalidCiphertextError, IncorrectKeyMaterialError, ImportStateError,
        DestructionScheduledError, TooBusyError.
        """
        ...

    async def delete_imported_key_material(
        self, caller: Caller, key_id: str, *, material_id: str | None
    ) -> ImportedMaterial:
        """Let go of material, the current one for None. Raises UnknownMaterialError."""
        ...
