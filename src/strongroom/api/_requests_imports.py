"""Members of the requests about imported key material. See ``_requests``."""

import re

from strongroom.api._constraints import Violations
from strongroom.api._errors import unsupported_error, validation_error
from strongroom.api._json import Blob
from strongroom.api._requests import KeyMembers
from strongroom.keyring import ImportType, WrappingAlgorithm, WrappingBits

EXPIRES = "KEY_MATERIAL_EXPIRES"
DOES_NOT_EXPIRE = "KEY_MATERIAL_DOES_NOT_EXPIRE"
EXPIRATION_MODELS = (EXPIRES, DOES_NOT_EXPIRE)
IMPORT_TYPES = tuple(map(str, ImportType))
WRAPPING_ALGORITHMS = ("RSAES_PKCS1_V1_5", *map(str, WrappingAlgorithm), "SM2PKE")
WRAPPING_KEY_SPECS = (*map(str, WrappingBits), "SM2")
MAX_IMPORT_BYTES = 6_144
_DESCRIPTION = re.compile(r"[a-zA-Z0-9:/_\s.-]*", re.ASCII)
_MATERIAL_ID = re.compile(r"[a-f0-9]{64}")


class GetParametersForImportMembers(KeyMembers, frozen=True, kw_only=True):
    """GetParametersForImport."""

    wrapping_algorithm: str | None = None
    wrapping_key_spec: str | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse the wrappings that are not served."""
        super().validate()
        found = Violations()
        found.required("wrappingAlgorithm", self.wrapping_algorithm)
        found.one_of("wrappingAlgorithm", self.wrapping_algorithm, WRAPPING_ALGORITHMS)
        found.required("wrappingKeySpec", self.wrapping_key_spec)
        found.one_of("wrappingKeySpec", self.wrapping_key_spec, WRAPPING_KEY_SPECS)
        found.check()
        refuse_wrapping("WrappingAlgorithm", self.wrapping_algorithm, tuple(map(str, WrappingAlgorithm)))
        refuse_wrapping("WrappingKeySpec", self.wrapping_key_spec, tuple(map(str, WrappingBits)))


class ImportKeyMaterialMembers(KeyMembers, frozen=True, kw_only=True):
    """ImportKeyMaterial."""

    import_token: Blob | None = None
    encrypted_key_material: Blob | None = None
    valid_to: float | None = None
    expiration_model: str | None = None
    import_type: str | None = None
    key_material_description: str | None = None
    key_material_id: str | None = None

    def validate(self) -> None:
        """Check the constraints but those on the date, which need a clock."""
        super().validate()
        found = Violations()
        found.required("importToken", self.import_token)
        found.required("encryptedKeyMaterial", self.encrypted_key_material)
        for name, blob in (
            ("importToken", self.import_token),
            ("encryptedKeyMaterial", self.encrypted_key_material),
        ):
            found.blob_length(name, None if blob is None else blob.value, MAX_IMPORT_BYTES)
        found.one_of("expirationModel", self.expiration_model, EXPIRATION_MODELS)
        found.one_of("importType", self.import_type, IMPORT_TYPES)
        found.length("keyMaterialDescription", self.key_material_description, 0, 256)
        found.check()
        if self.key_material_description and not _DESCRIPTION.fullmatch(self.key_material_description):
            raise validation_error(
                "KeyMaterialDescription holds characters other than a-z A-Z 0-9 : / _ . - and space."
            )
        check_material_id(self.key_material_id)
        if self.key_material_id is not None and self.import_type == ImportType.NEW:
            raise validation_error("KeyMaterialId cannot be given with ImportType NEW_KEY_MATERIAL.")
        if (self.expiration_model == DOES_NOT_EXPIRE) == (self.valid_to is not None):
            raise validation_error(
                "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES, and only then."
            )


class DeleteImportedKeyMaterialMembers(KeyMembers, frozen=True, kw_only=True):
    """DeleteImportedKeyMaterial."""

    key_material_id: str | None = None

    def validate(self) -> None:
        """Check the constraints."""
        super().validate()
        check_material_id(self.key_material_id)


def refuse_wrapping(member: str, value: str | None, served: tuple[str, ...]) -> None:
    """Refuse the wrappings that are not served; all are known to the model."""
    if value not in served:
        raise unsupported_error(f"{member} {value} is not served.")


def check_material_id(value: str | None) -> None:
    """Refuse what is no id of key material."""
    if value is not None and not _MATERIAL_ID.fullmatch(value):
        raise validation_error("KeyMaterialId must have 64 characters of a-f 0-9.")
