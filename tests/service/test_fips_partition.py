"""A whole service that goes over to FIPS mode: what is refused at its edge, and by its member workers themselves."""

import asyncio
import sqlite3
import time
from contextlib import closing

import msgspec
import pytest
from botocore.exceptions import ClientError

from running_service import RunningService, configure, copy_home
from strongroom.core import (
    Deadline,
    HsmKey,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    SigningAlgorithm,
    SystemClock,
)
from strongroom.hsm.cluster import HsmCluster
from strongroom.storage import HsmKeyState, ReadOnlyStore
from strongroom.testing import RecordingEvents
from strongroom.wiring.principals import _table_of

CLUSTER = "cluster-strongroomhsms"
K1, P256 = "ECC_SECG_P256K1", "ECC_NIST_P256"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture
def service(initialised_home, tmp_path):
    home = copy_home(initialised_home, tmp_path / "home")
    with RunningService(home) as running:
        yield running


def make(kms, store, spec):
    made = kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store, KeySpec=spec, KeyUsage="SIGN_VERIFY")
    return made["KeyMetadata"]["KeyId"]


def sign(kms, key):
    return kms.sign(KeyId=key, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")["Signature"]


def refused(call):
    with pytest.raises(ClientError, match="FIPS mode") as caught:
        call()
    return caught.value.response["Error"]["Code"]


def make_due(service, key):
    """Let the date of destruction of a key come."""
    with closing(sqlite3.connect(service.home.database, timeout=30)) as database, database:
        database.execute("UPDATE keys SET destroy_at = 1 WHERE key_id = ?", (key,))


def is_held(service, spec):
    """Whether a Direct key of this spec is not destroyed yet."""
    with ReadOnlyStore.open(service.home.database) as store:
        return any(key.spec == spec for key in store.list_hsm_keys(HsmKeyState.ACTIVE))


def until(is_so, service, limit_s=60.0):
    limit = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < limit, service.log()
        time.sleep(0.1)


async def sign_at_a_member(service, key, spec):
    """Ask the members themselves, as a broken-into API process could."""
    with ReadOnlyStore.open(service.home.database) as store:
        hsm_key_id = store.get_key_version(key, 1).hsm_key_id
    clock = SystemClock()
    cluster = HsmCluster(clock=clock, events=RecordingEvents(), attempt_s=10.0, report=lambda _: None)
    try:
        table = await _table_of(service.home)
        cluster.apply(msgspec.structs.replace(table, quarantined=[]))  # an intruder does not care
        asked = HsmKey(hsm_key_id, spec, KeyUsage.SIGN_VERIFY)
        return await cluster.sign(
            asked, SigningAlgorithm.ECDSA_SHA_256, bytes(32), deadline=Deadline.after(clock, 30.0)
        )
    finally:
        cluster.close()


def test_a_home_in_fips_mode_uses_direct_keys_that_are_approved_and_no_others(service):
    service.start()
    kms = service.client()
    store = kms.create_custom_key_store(CustomKeyStoreName="hsm", CloudHsmClusterId=CLUSTER)[
        "CustomKeyStoreId"
    ]
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    envelope = kms.create_key()["KeyMetadata"]["KeyId"]
    old, good = make(kms, store, K1), make(kms, store, P256)
    sign(kms, old)
    service.stop()
    configure(service.home, section="policy", fips=True)
    service.start()
    kms = service.client()
    for call in (
        kms.create_key,
        lambda: make(kms, store, K1),
        lambda: sign(kms, old),
        lambda: kms.encrypt(KeyId=envelope, Plaintext=b"x"),
        lambda: kms.generate_data_key(KeyId=envelope, KeySpec="AES_256"),
    ):
        assert refused(call) == "UnsupportedOperationException"
    assert sign(kms, good)
    assert sign(kms, make(kms, store, P256))
    assert asyncio.run(sign_at_a_member(service, good, KeySpec.ECC_NIST_P256))
    with pytest.raises(HsmRequestError, match="FIPS mode, and ECC_SECG_P256K1 is not approved"):
        asyncio.run(sign_at_a_member(service, old, KeySpec.ECC_SECG_P256K1))
    quarantined = {event["key"] for event in service.events("key.quarantined")}
    assert len(quarantined) == 1
    kms.schedule_key_deletion(KeyId=old, PendingWindowInDays=7)
    make_due(service, old)
    until(lambda: not is_held(service, K1), service)
