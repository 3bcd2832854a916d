"""Members of the request that makes a key. See ``_requests``."""

from collections.abc import Mapping

from strongroom.api._constraints import Violations
from strongroom.api._errors import ApiError, validation_error
from strongroom.api._key_kinds import check_usage, refuse_spec
from strongroom.api._requests import (
    MAX_POLICY,
    POLICY_FORM,
    POLICY_PATTERN,
    SYMMETRIC_DEFAULT,
    Members,
    refuse_other,
    refuse_present,
)
from strongroom.api._tags import TagMember, check_tags
from strongroom.core import KeyOrigin, KeyUsage, ManagedKeySpec
from strongroom.keyring import DOMAIN_TAG, DomainNameError, KeyKind, require_domain_name

ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
KEY_USAGES = (
    "SIGN_VERIFY", ENCRYPT_DECRYPT, "GENERATE_VERIFY_MAC", "KEY_AGREEMENT", "ENCAPSULATE_DECAPSULATE",
)  # fmt: skip
CUSTOMER_MASTER_KEY_SPECS = (
    "RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1",
    SYMMETRIC_DEFAULT, "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512", "SM2",
)  # fmt: skip
KEY_SPECS = (
    *CUSTOMER_MASTER_KEY_SPECS, "ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "ECC_NIST_EDWARDS25519", "ML_KEM_512",
    "ML_KEM_768", "ML_KEM_1024",
)  # fmt: skip
ORIGINS = ("AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE")


class CreateKeyMembers(Members, frozen=True, kw_only=True):
    """CreateKey."""

    policy: str | None = None
    description: str | None = None
    key_usage: str | None = None
    customer_master_key_spec: str | None = None
    key_spec: str | None = None
    origin: str | None = None
    custom_key_store_id: str | None = None
    bypass_policy_lockout_safety_check: bool | None = None
    tags: list[TagMember] | None = None
    multi_region: bool | None = None
    xks_key_id: str | None = None

    def validate(self) -> None:
        """Check, and refuse what is not served."""
        found = Violations()
        found.length("description", self.description, 0, 8_192)
        found.one_of("keyUsage", self.key_usage, KEY_USAGES)
        found.one_of("customerMasterKeySpec", self.customer_master_key_spec, CUSTOMER_MASTER_KEY_SPECS)
        found.one_of("keySpec", self.key_spec, KEY_SPECS)
        found.one_of("origin", self.origin, ORIGINS)
        found.length("policy", self.policy, 1, MAX_POLICY)
        found.pattern("policy", self.policy, POLICY_FORM, POLICY_PATTERN)
        check_tags(found, self.tags)
        found.check()
        if self.key_spec is not None and self.customer_master_key_spec is not None:
            raise validation_error(
                "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. "
                "CustomerMasterKeySpec is deprecated."
            )
        refuse_present("XksKeyId", self.xks_key_id is not None)
        refuse_present("MultiRegion", bool(self.multi_region))
        refuse_spec("KeySpec", self.key_spec)
        refuse_spec("CustomerMasterKeySpec", self.customer_master_key_spec)
        check_store(self.origin, self.custom_key_store_id)
        check_usage(self._spec, self.key_usage)

    @property
    def _spec(self) -> str:
        return self.key_spec or self.customer_master_key_spec or SYMMETRIC_DEFAULT

    def kind(self, tags: Mapping[str, str]) -> KeyKind:
        """Return what the key is to be. Only after ``validate``. ``tags``: as ``tag_map`` read them. Raises ApiError."""
        domain = tags.get(DOMAIN_TAG, "")
        if DOMAIN_TAG in tags:
            _check_domain(domain, self.custom_key_store_id)
        return KeyKind(
            ManagedKeySpec(self._spec),
            KeyUsage(self.key_usage or ENCRYPT_DECRYPT),
            KeyOrigin(self.origin or KeyOrigin.AWS_KMS),
            self.custom_key_store_id or "",
            self.policy or "",
            domain,
        )


def _check_domain(domain: str, store_id: str | None) -> None:
    """Check what the tag says about the domain of a new key, which is recorded from here on. Raises ApiError."""
    if store_id is not None:
        raise ApiError("TagException", f"{DOMAIN_TAG} is for keys that are not inside HSMs.")
    try:
        require_domain_name(domain)
    except DomainNameError as error:
        raise ApiError("TagException", f"{DOMAIN_TAG}: {error.message}.") from None


def check_store(origin: str | None, store_id: str | None) -> None:
    """Check that a key inside HSMs names its custom key store, and no other does. Raises ApiError."""
    found = Violations()
    found.length("customKeyStoreId", store_id, 1, 64)
    found.check()
    if (origin == KeyOrigin.AWS_CLOUDHSM) != (store_id is not None):
        raise validation_error("CustomKeyStoreId is required with Origin AWS_CLOUDHSM, and with no other.")
    if origin not in {KeyOrigin.AWS_CLOUDHSM, KeyOrigin.EXTERNAL}:
        refuse_other("Origin", origin, "AWS_KMS")
