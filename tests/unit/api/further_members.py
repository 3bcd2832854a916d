"""The Struct of each further operation's request, for the comparison with the service model."""

from strongroom.api import _requests as requests
from strongroom.api import _requests_asymmetric as of_pairs
from strongroom.api import _requests_data as of_data
from strongroom.api import _requests_imports as of_imports
from strongroom.api import _requests_key_stores as of_stores
from strongroom.api import _requests_keys as of_keys
from strongroom.api import _requests_policies as of_policies
from strongroom.api import _requests_rotation as of_rotation

FURTHER_MEMBERS = {
    "CancelKeyDeletion": requests.KeyMembers,
    "ConnectCustomKeyStore": of_stores.KeyStoreMembers,
    "CreateCustomKeyStore": of_stores.CreateCustomKeyStoreMembers,
    "DeleteCustomKeyStore": of_stores.KeyStoreMembers,
    "DescribeCustomKeyStores": of_stores.DescribeCustomKeyStoresMembers,
    "DisconnectCustomKeyStore": of_stores.KeyStoreMembers,
    "UpdateCustomKeyStore": of_stores.UpdateCustomKeyStoreMembers,
    "DeleteImportedKeyMaterial": of_imports.DeleteImportedKeyMaterialMembers,
    "GetParametersForImport": of_imports.GetParametersForImportMembers,
    "ImportKeyMaterial": of_imports.ImportKeyMaterialMembers,
    "DisableKeyRotation": requests.KeyMembers,
    "EnableKeyRotation": of_rotation.EnableKeyRotationMembers,
    "GetKeyLastUsage": requests.KeyMembers,
    "GetKeyRotationStatus": requests.KeyMembers,
    "ListKeyRotations": of_rotation.ListKeyRotationsMembers,
    "RotateKeyOnDemand": requests.KeyMembers,
    "DeriveSharedSecret": of_pairs.DeriveSharedSecretMembers,
    "GenerateDataKeyPair": of_pairs.GenerateDataKeyPairMembers,
    "GenerateDataKeyPairWithoutPlaintext": of_pairs.GenerateDataKeyPairWithoutPlaintextMembers,
    "GenerateMac": of_pairs.GenerateMacMembers,
    "GetPublicKey": of_pairs.GetPublicKeyMembers,
    "Sign": of_pairs.SignMembers,
    "Verify": of_pairs.VerifyMembers,
    "VerifyMac": of_pairs.VerifyMacMembers,
    "CreateGrant": of_policies.CreateGrantMembers,
    "GetKeyPolicy": of_policies.GetKeyPolicyMembers,
    "ListGrants": of_policies.ListGrantsMembers,
    "ListKeyPolicies": of_policies.ListKeyPoliciesMembers,
    "ListRetirableGrants": of_policies.ListRetirableGrantsMembers,
    "PutKeyPolicy": of_policies.PutKeyPolicyMembers,
    "RetireGrant": of_policies.RetireGrantMembers,
    "RevokeGrant": of_policies.RevokeGrantMembers,
    "DeleteAlias": of_keys.DeleteAliasMembers,
    "GenerateDataKeyWithoutPlaintext": of_data.GenerateDataKeyWithoutPlaintextMembers,
    "GenerateRandom": of_data.GenerateRandomMembers,
    "ListResourceTags": of_keys.ListResourceTagsMembers,
    "ReEncrypt": of_data.ReEncryptMembers,
    "ScheduleKeyDeletion": of_keys.ScheduleKeyDeletionMembers,
    "TagResource": of_keys.TagResourceMembers,
    "UntagResource": of_keys.UntagResourceMembers,
    "UpdateAlias": requests.CreateAliasMembers,
    "UpdateKeyDescription": of_keys.UpdateKeyDescriptionMembers,
}
