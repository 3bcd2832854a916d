"""Packages that use AWS KMS work unchanged: tokens, signatures of software, envelopes, objects in S3, attributes in DynamoDB.

They run as ``test_real_clients`` does, with no more than what ``strongroom env`` prints in their environment.
"""

import pytest

from fixtures_real_clients import NODE_CLIENTS, Clients, is_installed, is_node_installed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed, reason="the clients are missing: './dev test --slow' installs them"),
]
SIGNING = ("--key-usage", "SIGN_VERIFY", "--key-spec")

_TOKENS = """
import sys
import boto3
from joserfc import jws
from joserfc.jwk import import_key
from jwt_kms import jwk as kms_jwk, jws as kms_jws

arn, algorithm = sys.argv[1:]
key = kms_jwk.Key(boto3.client("kms"), arn)
token = kms_jws.JWS({"sub": "alice"}).add_signature(key, algorithm).serialize(compact=True)
public = import_key(key.public_key_pem.decode(), {"RS": "RSA", "PS": "RSA", "ES": "EC"}[algorithm[:2]])
opened = jws.deserialize_compact(token, public, algorithms=[algorithm])
print(opened.headers()["alg"], opened.payload.decode())
"""


@pytest.mark.parametrize(
    ("spec", "algorithm"), [("ECC_NIST_P256", "ES256"), ("RSA_2048", "RS256"), ("RSA_2048", "PS256")]
)
def test_jwt_kms_signs_tokens_that_verify_elsewhere(clients: Clients, spec: str, algorithm: str) -> None:
    arn = clients.new_key(*SIGNING, spec)
    assert clients.python(_TOKENS, arn, algorithm) == f'{algorithm} {{"sub": "alice"}}\n'


_SOFTWARE = """
import sys
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import AWSSigner, Signer

uri, public = AWSSigner.import_(sys.argv[1])
signature = Signer.from_priv_key_uri(uri, public).sign(b"release 1.0")
public.verify_signature(signature, b"release 1.0")
try:
    public.verify_signature(signature, b"release 6.6")
except UnverifiedSignatureError:
    print(public.scheme)
"""


@pytest.mark.parametrize(
    ("spec", "scheme"),
    [
        ("ECC_NIST_P256", "ecdsa-sha2-nistp256"),
        ("ECC_NIST_P384", "ecdsa-sha2-nistp384"),
        ("RSA_3072", "rsassa-pss-sha256"),
    ],
)
def test_securesystemslib_signs_what_tuf_and_in_toto_verify(clients: Clients, spec: str, scheme: str) -> None:
    assert clients.python(_SOFTWARE, clients.new_key(*SIGNING, spec)) == f"{scheme}\n"


_ENVELOPES = """
import sys
import boto3
import tink
from tink import aead
from tink.integration import awskms

aead.register()
client = awskms.new_client(boto3_client=boto3.client("kms"))
remote = client.get_aead("aws-kms://" + sys.argv[1])
envelope = aead.KmsEnvelopeAead(aead.aead_key_templates.AES256_GCM, remote)
plain = bytes(range(256)) * 100
sealed = envelope.encrypt(plain, b"row 7")
assert envelope.decrypt(sealed, b"row 7") == plain
assert remote.decrypt(remote.encrypt(b"x", b"a"), b"a") == b"x"
for wrong in (lambda: envelope.decrypt(sealed, b"row 8"), lambda: remote.decrypt(remote.encrypt(b"x", b"a"), b"b")):
    try:
        wrong()
    except tink.TinkError:
        print("refused")
"""


def test_tink_seals_under_keys_that_never_leave(clients: Clients) -> None:
    assert clients.python(_ENVELOPES, clients.new_key()) == "refused\nrefused\n"


_OBJECTS = """
import sys
import boto3
from moto.server import ThreadedMotoServer
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring

arn = sys.argv[1]
kms = boto3.client("kms")
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
try:
    host, port = server.get_host_and_port()
    bare = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
    bare.create_bucket(Bucket="vault", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    wrapped = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
    sealing = S3EncryptionClient(wrapped, S3EncryptionClientConfig(KmsKeyring(kms, arn)))
    plain = b"account 4711, " * 5000
    context = {"tenant": "7"}
    sealing.put_object(Bucket="vault", Key="ledger", Body=plain, EncryptionContext=context)
    stored = bare.get_object(Bucket="vault", Key="ledger")["Body"].read()
    assert b"4711" not in stored and len(stored) >= len(plain)
    assert sealing.get_object(Bucket="vault", Key="ledger", EncryptionContext=context)["Body"].read() == plain
    kms.disable_key(KeyId=arn)
    try:
        sealing.get_object(Bucket="vault", Key="ledger", EncryptionContext=context)["Body"].read()
    except Exception as error:
        print("DisabledException" in repr(error) + repr(error.__cause__) + repr(error.__context__))
finally:
    server.stop()
"""


def test_the_s3_encryption_client_keeps_objects_that_only_its_key_opens(clients: Clients) -> None:
    assert clients.python(_OBJECTS, clients.new_key()).splitlines()[-1] == "True"


_ATTRIBUTES = """
import sys
import boto3
from dynamodb_encryption_sdk.encrypted.table import EncryptedTable
from dynamodb_encryption_sdk.exceptions import UnwrappingError
from dynamodb_encryption_sdk.identifiers import CryptoAction
from dynamodb_encryption_sdk.material_providers.aws_kms import AwsKmsCryptographicMaterialsProvider
from dynamodb_encryption_sdk.structures import AttributeActions
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
try:
    host, port = server.get_host_and_port()
    table = boto3.resource("dynamodb", endpoint_url=f"http://{host}:{port}").create_table(
        TableName="people",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
    )
    provider = AwsKmsCryptographicMaterialsProvider(key_id=sys.argv[1])
    in_clear = AttributeActions(attribute_actions={"town": CryptoAction.SIGN_ONLY})
    sealing = EncryptedTable(table=table, materials_provider=provider, attribute_actions=in_clear)
    alice = {"name": "alice", "town": "Ulm", "account": "4711 0815"}
    sealing.put_item(Item=alice)
    stored = table.get_item(Key={"name": "alice"})["Item"]
    assert stored["town"] == "Ulm" and b"4711" not in bytes(stored["account"])
    assert sealing.get_item(Key={"name": "alice"})["Item"] == alice
    table.put_item(Item={**stored, "name": "mallory"})
    try:
        sealing.get_item(Key={"name": "mallory"})
    except UnwrappingError as error:
        print(type(error.__context__).__name__)
finally:
    server.stop()
"""


def test_the_dynamodb_encryption_client_binds_attributes_to_the_item_that_holds_them(
    clients: Clients,
) -> None:
    printed = clients.python(_ATTRIBUTES, clients.new_key())
    assert printed.splitlines()[-1] == "InvalidCiphertextException"


_CALLERS = """
import sys
from kmsauth import KMSTokenGenerator, KMSTokenValidator, TokenValidationError

arn, other = sys.argv[1:]
region = arn.split(":")[3]
maker = KMSTokenGenerator(arn, {"from": "shop", "to": "billing", "user_type": "service"}, region)
name, token = maker.get_username(), maker.get_token()
print("payload" in KMSTokenValidator(arn, None, "billing", region).decrypt_token(name, token))
for key, service, caller in ((arn, "payroll", name), (arn, "billing", name.replace("shop", "root")), (other, "billing", name)):
    try:
        KMSTokenValidator(key, None, service, region).decrypt_token(caller, token)
    except TokenValidationError as error:
        print(error)
"""


def test_kmsauth_tells_services_who_calls_them(clients: Clients) -> None:
    general, wrong_key = "Authentication error. General error.", "Authentication error (wrong KMS key)."
    assert clients.python(_CALLERS, clients.new_key(), clients.new_key()).splitlines() == [
        "True",
        general,
        general,
        wrong_key,
    ]


_MESSAGES = """
const { KmsKeyringNode, buildClient, CommitmentPolicy } = require('@aws-crypto/client-node')
const [arn, other] = process.argv.slice(2)
const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
;(async () => {
  const plain = Buffer.alloc(100000, 'account 4711, ')
  const both = new KmsKeyringNode({ generatorKeyId: arn, keyIds: [other] })
  const { result } = await encrypt(both, plain, { encryptionContext: { app: 'shop' } })
  for (const one of [arn, other]) {
    const { plaintext, messageHeader } = await decrypt(new KmsKeyringNode({ keyIds: [one] }), result)
    if (!plaintext.equals(plain) || messageHeader.encryptionContext.app !== 'shop') throw new Error('not the same')
  }
  console.log('round trip')
})()
"""


@pytest.mark.skipif(
    not is_node_installed, reason="no AWS Encryption SDK for JavaScript: './dev test --slow' installs it"
)
def test_the_encryption_sdk_in_javascript_makes_messages_that_either_key_opens(clients: Clients) -> None:
    (clients.folder / "program.js").write_text(_MESSAGES)
    (clients.folder / "node_modules").symlink_to(NODE_CLIENTS / "node_modules")
    # Node.js has its own name for the file of authorities, which no AWS SDK sets for it.
    start = 'NODE_EXTRA_CA_CERTS="$AWS_CA_BUNDLE" exec node program.js "$@"'
    printed = clients.output("sh", "-c", start, "sh", clients.new_key(), clients.new_key())
    assert printed == "round trip\n"
