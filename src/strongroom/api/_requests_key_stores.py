"""Members of the requests about custom key stores. See ``_requests``.

A custom key store is a set of keys in the service's own cluster of HSMs. What belongs to AWS CloudHSM or to external key
managers is refused by name; a password most of all, for PINs of HSMs never come through the API.
"""

import re
from typing import Any

from strongroom.api._constraints import Violations
from strongroom.api._errors import unsupported_error, validation_error
from strongroom.api._requests import Members, refuse_other, refuse_present

AWS_CLOUDHSM = "AWS_CLOUDHSM"
KEY_STORE_TYPES = (AWS_CLOUDHSM, "EXTERNAL_KEY_STORE")
CLUSTER_ID = re.compile(r"cluster-[2-7a-zA-Z]{11,16}")
MAX_STORE_ID = 64
MAX_STORE_NAME = 256


class _ExternalMembers(Members, frozen=True, kw_only=True):
    """What both CreateCustomKeyStore and UpdateCustomKeyStore have for others than us."""

    key_store_password: Any = None
    xks_proxy_uri_endpoint: Any = None
    xks_proxy_uri_path: Any = None
    xks_proxy_vpc_endpoint_service_name: Any = None
    xks_proxy_vpc_endpoint_service_owner: Any = None
    xks_proxy_authentication_credential: Any = None
    xks_proxy_connectivity: Any = None

    def __repr__(self) -> str:
        return type(self).__name__  # neither password nor credential, wherever it is printed

    def refuse_external(self) -> None:
        """Refuse all of them."""
        refuse_pin("KeyStorePassword", self.key_store_password is not None)
        refuse_present("XksProxyUriEndpoint", self.xks_proxy_uri_endpoint is not None)
        refuse_present("XksProxyUriPath", self.xks_proxy_uri_path is not None)
        refuse_present("XksProxyVpcEndpointServiceName", self.xks_proxy_vpc_endpoint_service_name is not None)
        refuse_present(
            "XksProxyVpcEndpointServiceOwner", self.xks_proxy_vpc_endpoint_service_owner is not None
        )
        refuse_present(
            "XksProxyAuthenticationCredential", self.xks_proxy_authentication_credential is not None
        )
        refuse_present("XksProxyConnectivity", self.xks_proxy_connectivity is not None)


class CreateCustomKeyStoreMembers(_ExternalMembers, frozen=True, kw_only=True):
    """CreateCustomKeyStore."""

    custom_key_store_name: str | None = None
    cloud_hsm_cluster_id: str | None = None
    trust_anchor_certificate: str | None = None
    custom_key_store_type: str | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not ours."""
        found = Violations()
        found.required("customKeyStoreName", self.custom_key_store_name)
        found.length("customKeyStoreName", self.custom_key_store_name, 1, MAX_STORE_NAME)
        found.one_of("customKeyStoreType", self.custom_key_store_type, KEY_STORE_TYPES)
        found.check()
        refuse_other("CustomKeyStoreType", self.custom_key_store_type, AWS_CLOUDHSM)
        self.refuse_external()
        refuse_present("TrustAnchorCertificate", self.trust_anchor_certificate is not None)
        found.required("cloudHsmClusterId", self.cloud_hsm_cluster_id)
        found.check()
        check_cluster_id(self.cloud_hsm_cluster_id)


class DescribeCustomKeyStoresMembers(Members, frozen=True, kw_only=True):
    """DescribeCustomKeyStores."""

    custom_key_store_id: str | None = None
    custom_key_store_name: str | None = None
    limit: int | None = None
    marker: str | None = None

    def validate(self) -> None:
        """Check the constraints; a request names one store in one way, or none."""
        found = Violations()
        found.length("customKeyStoreId", self.custom_key_store_id, 1, MAX_STORE_ID)
        found.length("customKeyStoreName", self.custom_key_store_name, 1, MAX_STORE_NAME)
        found.between("limit", self.limit, 1, 1_000)
        found.length("marker", self.marker, 1, 1_024)
        found.check()
        if self.custom_key_store_id is not None and self.custom_key_store_name is not None:
            raise validation_error(
                "You can specify CustomKeyStoreId or CustomKeyStoreName in a request, but not both."
            )


class UpdateCustomKeyStoreMembers(_ExternalMembers, frozen=True, kw_only=True):
    """UpdateCustomKeyStore."""

    custom_key_store_id: str | None = None
    new_custom_key_store_name: str | None = None
    cloud_hsm_cluster_id: str | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not ours."""
        found = Violations()
        _check_store_id(found, self.custom_key_store_id)
        found.length("newCustomKeyStoreName", self.new_custom_key_store_name, 1, MAX_STORE_NAME)
        found.check()
        self.refuse_external()
        check_cluster_id(self.cloud_hsm_cluster_id)


class KeyStoreMembers(Members, frozen=True, kw_only=True):
    """ConnectCustomKeyStore, DisconnectCustomKeyStore and DeleteCustomKeyStore."""

    custom_key_store_id: str | None = None

    def validate(self) -> None:
        """Check the constraints."""
        found = Violations()
        _check_store_id(found, self.custom_key_store_id)
        found.check()


def refuse_pin(member: str, is_present: bool) -> None:  # noqa: FBT001  # reads as a claim where it is called
    """Refuse the password of an HSM's user."""
    if is_present:
        raise unsupported_error(
            f"{member} is refused: PINs of HSMs never come through the API. "
            "The operator gives each member its own."
        )


def check_cluster_id(value: str | None) -> None:
    """Check the form of the id of a cluster. Raises ApiError."""
    if value is not None and CLUSTER_ID.fullmatch(value) is None:
        raise validation_error(
            f"1 validation error detected: Value '{value[:256]}' at 'cloudHsmClusterId' failed to satisfy "
            f"constraint: Member must satisfy regular expression pattern: {CLUSTER_ID.pattern}"
        )


def _check_store_id(found: Violations, store_id: str | None) -> None:
    found.required("customKeyStoreId", store_id)
    found.length("customKeyStoreId", store_id, 1, MAX_STORE_ID)
