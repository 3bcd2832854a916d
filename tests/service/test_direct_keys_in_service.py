"""Keys inside HSMs over the KMS API, against a whole service on two SoftHSM members: what boto3 sees, and what trouble leaves."""

import re
import signal
import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from running_service import RunningService, configure, copy_home
from strongroom.audit import read_entries
from strongroom.core import AUDIT_KEY_LABEL
from strongroom.storage import CopyState, HsmKeyState, ReadOnlyStore

CLUSTER = "cluster-strongroomhsms"
MESSAGE = b"to be signed inside"

# The connections of a service that was killed are left in boto3's pools, half open.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def service(initialised_home: Path, tmp_path: Path):
    home = copy_home(initialised_home, tmp_path / "home")
    with RunningService(home) as running:
        yield running


def connected_store(kms, name="hsm"):
    store = kms.create_custom_key_store(CustomKeyStoreName=name, CloudHsmClusterId=CLUSTER)[
        "CustomKeyStoreId"
    ]
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    return store


def make(kms, store, spec="SYMMETRIC_DEFAULT", usage="ENCRYPT_DECRYPT"):
    made = kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store, KeySpec=spec, KeyUsage=usage)
    return made["KeyMetadata"]["KeyId"]


def code_of(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


def until(is_so, service, limit_s=60.0):
    limit = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < limit, service.log()
        time.sleep(0.05)


def hsm_keys(service, state=None):
    """The Direct keys but the one that the service makes for its audit log."""
    with ReadOnlyStore.open(service.home.database) as store:
        return [record for record in store.list_hsm_keys(state) if record.label != AUDIT_KEY_LABEL]


def held_by(service, key_id):
    """The members that hold the Direct key which a key of the service is."""
    with ReadOnlyStore.open(service.home.database) as store:
        hsm_key_id = store.get_key_version(key_id, 1).hsm_key_id
        copies = store.list_hsm_key_copies(hsm_key_id)
    return {copy.member for copy in copies if copy.state is CopyState.HELD}


def verify(kms, key_id, signature):
    spki_der = kms.get_public_key(KeyId=key_id)["PublicKey"]
    load_der_public_key(spki_der).verify(signature, MESSAGE, ec.ECDSA(hashes.SHA256()))


def sign(kms, key_id):
    answer = kms.sign(KeyId=key_id, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")
    return answer["Signature"]


def test_boto3_makes_uses_and_switches_off_keys_inside_hsms_and_a_killed_member_stops_no_signature(service):
    service.start()
    kms = service.client()
    store = connected_store(kms)
    symmetric, signing = make(kms, store), make(kms, store, "ECC_NIST_P256", "SIGN_VERIFY")
    assert held_by(service, symmetric) == held_by(service, signing) == {"alpha", "beta"}
    metadata = kms.describe_key(KeyId=symmetric)["KeyMetadata"]
    assert (metadata["Origin"], metadata["CustomKeyStoreId"], metadata["CloudHsmClusterId"]) == (
        "AWS_CLOUDHSM",
        store,
        CLUSTER,
    )
    data_key = kms.generate_data_key(KeyId=symmetric, KeySpec="AES_256", EncryptionContext={"a": "b"})
    opened = kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == data_key["Plaintext"]
    assert code_of(lambda: kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])) == (
        "InvalidCiphertextException"
    )
    mac_key = make(kms, store, "HMAC_256", "GENERATE_VERIFY_MAC")
    mac = kms.generate_mac(KeyId=mac_key, Message=MESSAGE, MacAlgorithm="HMAC_SHA_256")["Mac"]
    kms.verify_mac(KeyId=mac_key, Message=MESSAGE, MacAlgorithm="HMAC_SHA_256", Mac=mac)
    assert code_of(lambda: make(kms, store, "ML_DSA_65", "SIGN_VERIFY")) == "UnsupportedOperationException"
    verify(kms, signing, sign(kms, signing))
    for member in ("alpha", "beta"):  # each in turn; the other one signs
        killed = service.children()[member]
        service.signal(member, signal.SIGKILL)
        for _ in range(5):
            verify(kms, signing, sign(kms, signing))
        until(lambda member=member, killed=killed: service.children()[member] != killed, service)
    signed = [
        (entry.member, entry.detail["hsm_session"])
        for entry in read_entries(service.home.audit)
        if (entry.event, entry.kind, entry.outcome) == ("kms.Sign", "outcome", "ok")
    ]
    assert len(signed) == 11
    assert {member for members, _ in signed for member in members.split()} == {"alpha", "beta"}
    assert all(re.fullmatch(r"\d+/\d+( \d+/\d+)?", sessions) for _, sessions in signed)
    old = kms.encrypt(KeyId=symmetric, Plaintext=b"old")["CiphertextBlob"]
    kms.rotate_key_on_demand(KeyId=symmetric)
    assert kms.decrypt(CiphertextBlob=old)["Plaintext"] == b"old"
    kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    assert code_of(lambda: sign(kms, signing)) == "KMSInvalidStateException"
    assert code_of(lambda: make(kms, store)) == "CustomKeyStoreInvalidStateException"
    assert kms.describe_key(KeyId=signing)["KeyMetadata"]["KeyState"] == "Unavailable"
    kms.schedule_key_deletion(KeyId=signing)
    delete = lambda: kms.delete_custom_key_store(CustomKeyStoreId=store)  # noqa: E731
    assert code_of(delete) == "CustomKeyStoreHasCMKsException"


def test_with_too_few_members_no_key_is_made_and_nothing_of_it_stays(service):
    """The PIN of beta is out of reach, so it cannot serve; until it is there again."""
    pin = service.home.pins / "beta"
    pin.rename(pin.with_suffix(".away"))
    service.start()
    kms = service.client()
    store = connected_store(kms)
    assert code_of(lambda: make(kms, store)) == "CloudHsmClusterInvalidConfigurationException"
    assert kms.list_keys()["Keys"] == []
    assert {record.state for record in hsm_keys(service)} <= {HsmKeyState.DESTROYED}
    service.stop()
    configure(service.home, section="cluster", min_copies=1)
    service.start()
    kms = service.client()
    signing = make(kms, store, "ECC_NIST_P256", "SIGN_VERIFY")
    assert held_by(service, signing) == {"alpha"}
    pin.with_suffix(".away").rename(pin)
    until(lambda: held_by(service, signing) == {"alpha", "beta"}, service)  # it gets the key before it serves
    service.signal("alpha", signal.SIGKILL)
    verify(kms, signing, sign(kms, signing))


class Asking:
    """A caller who wants a key that takes long to make, in a thread. ``made`` is the key, if it got one after all."""

    def __init__(self, service, store):
        self.made = None
        self._service, self._store = service, store
        self._thread = threading.Thread(target=self._ask)
        before = len(hsm_keys(service))
        self._thread.start()
        until(lambda: len(hsm_keys(service)) > before, service)  # pending: it is being made

    def _ask(self):
        with suppress(ClientError, BotoCoreError):
            self.made = make(self._service.client(), self._store, "RSA_4096", "SIGN_VERIFY")

    def end(self):
        self._thread.join(60)
        return self.made


def settled(service):
    """Whether every Direct key is either gone or that of a key which is there."""
    states = [record.state for record in hsm_keys(service)]
    with ReadOnlyStore.open(service.home.database) as store:
        whole = len(store.list_keys(after=None, limit=100))
    return HsmKeyState.PENDING not in states and states.count(HsmKeyState.ACTIVE) == whole


def test_whoever_dies_in_the_middle_of_create_key_leaves_nothing_half_made(service):
    service.start()
    store = connected_store(service.client())
    complete = set()  # of those who were quicker than death
    for dies in ("api", "everything"):
        for _ in range(5):
            asking = Asking(service, store)
            if dies == "api":
                service.signal("api", signal.SIGKILL)
                made = asking.end()
            else:
                service.kill_everything()
                made = asking.end()
                service.start()
            until(service.is_ready, service)
            if made is None:
                break
            complete.add(made)
        until(lambda: settled(service), service)
        kms = service.client()
        keys = {key["KeyId"] for key in kms.list_keys()["Keys"]}
        assert complete <= keys  # one more, at most, whose answer was lost: whole as well
        for key_id in keys:
            kms.sign(KeyId=key_id, Message=MESSAGE, SigningAlgorithm="RSASSA_PSS_SHA_256")


@pytest.mark.slow
def test_a_key_whose_date_has_come_is_destroyed_on_every_member_and_the_log_says_so(service):
    service.start()
    kms = service.client()
    key_id = make(kms, connected_store(kms))
    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    with closing(sqlite3.connect(service.home.database)) as database, database:
        database.execute("UPDATE keys SET destroy_at = 1.0 WHERE key_id = ?", (key_id,))
    until(lambda: not hsm_keys(service, HsmKeyState.ACTIVE), service, limit_s=150)
    with ReadOnlyStore.open(service.home.database) as store:
        (record,) = store.list_hsm_keys(HsmKeyState.DESTROYED)
        until(
            lambda: {copy.state for copy in store.list_hsm_key_copies(record.key_id)} == {CopyState.GONE},
            service,
        )
    assert code_of(lambda: kms.describe_key(KeyId=key_id)) == "NotFoundException"
