"""Callers who have Direct keys made by a service all the time, and the proof that each key which they got is whole."""

import threading
import time
from collections import Counter
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from running_service import RunningService
from strongroom.core import HsmKey, HsmKeyId
from strongroom.runtime._key_requests import MAKE_LIMIT_S
from strongroom.storage import CopyState, HsmKeyState, ReadOnlyStore
from strongroom.wiring.members_door import MembersRequest, ask_members

CLUSTER = "cluster-strongroomhsms"
MESSAGE = b"by a key that was made under load"
ATTEMPTS = 3
"""As many as boto3 makes by default, within a fraction of a second."""
LONGEST_S = MAKE_LIMIT_S + 10.0
"""Main's own limit, and some time for the way there, on a machine that may be busy."""
_KINDS = (("ECC_NIST_P256", "SIGN_VERIFY"), ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"))


class Creation(NamedTuple):
    """One CreateKey as its caller saw it, the SDK's repetitions included."""

    began: float
    took_s: float
    key_id: str | None
    spec: str
    retries: int
    failure: str = ""
    """The code of the error, or the type of what the SDK raised."""

    @property
    def ended(self) -> float:
        return self.began + self.took_s


class Creators:
    """Callers in threads of their own; each makes keys of one kind, one after the other."""

    def __init__(self, service: RunningService, *, n_callers: int, pause_s: float) -> None:
        self.done: list[Creation] = []
        self._service = service
        self._pause_s = pause_s
        self._stopping = threading.Event()
        kms = service.client()
        store = kms.create_custom_key_store(CustomKeyStoreName="load", CloudHsmClusterId=CLUSTER)
        self.store_id = store["CustomKeyStoreId"]
        kms.connect_custom_key_store(CustomKeyStoreId=self.store_id)
        kms.close()
        self._threads = [
            threading.Thread(target=self._make_on, args=_KINDS[number % len(_KINDS)])
            for number in range(n_callers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End every caller, once what it waits for is answered."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(ATTEMPTS * LONGEST_S)
                assert not thread.is_alive(), "a CreateKey is not answered"

    def make(self, spec: str, usage: str) -> str:
        """Make one key, for whoever sets up a test."""
        kms = self._service.client()
        try:
            return self._create(kms, spec, usage)["KeyMetadata"]["KeyId"]
        finally:
            kms.close()

    def failures(self, since: float = 0.0, until: float = float("inf")) -> list[Creation]:
        """The creations that failed and were under way at some moment of this time."""
        return [one for one in self.done if one.failure and one.began < until and one.ended > since]

    def p99_s(self, since: float = 0.0, until: float = float("inf")) -> float:
        """The 99th percentile of those that were made within this time; 0 when none was."""
        took = sorted(
            one.took_s for one in self.done if since <= one.began and one.ended < until and one.key_id
        )
        return took[min(int(0.99 * len(took)), len(took) - 1)] if took else 0.0

    def in_words(self, healthy: tuple[float, float]) -> str:
        """Say how many there were and how long they took: those of the healthy time, and those after it."""
        done = list(self.done)
        failed = dict(Counter(one.failure for one in done if one.failure))
        healthy_ms, after_ms = self.p99_s(*healthy) * 1000, self.p99_s(healthy[1]) * 1000
        return (
            f"creations: {len(done)}, failed {failed}, repeated {sum(one.retries for one in done)}; p99 healthy "
            f"{healthy_ms:.0f} ms, after {after_ms:.0f} ms, longest {max(one.took_s for one in done):.2f} s"
        )

    def _make_on(self, spec: str, usage: str) -> None:
        kms = self._service.client(attempts=ATTEMPTS)
        try:
            while not self._stopping.wait(self._pause_s):
                self.done.append(self._creation(kms, spec, usage))
        finally:
            kms.close()

    def _creation(self, kms, spec: str, usage: str) -> Creation:
        began = time.monotonic()
        key_id, failure, retries = None, "", 0
        try:
            answer = self._create(kms, spec, usage)
            key_id, retries = answer["KeyMetadata"]["KeyId"], answer["ResponseMetadata"]["RetryAttempts"]
        except ClientError as error:
            failure = error.response["Error"]["Code"]
            retries = error.response["ResponseMetadata"]["RetryAttempts"]
        except BotoCoreError as error:
            failure = type(error).__name__
        return Creation(began, time.monotonic() - began, key_id, spec, retries, failure)

    def _create(self, kms, spec: str, usage: str):
        return kms.create_key(
            Origin="AWS_CLOUDHSM", CustomKeyStoreId=self.store_id, KeySpec=spec, KeyUsage=usage
        )


def direct_key_of(service: RunningService, key_id: str) -> HsmKey:
    """The Direct key that a key of the service is."""
    with ReadOnlyStore.open(service.home.database) as store:
        record = store.get_hsm_key(HsmKeyId(store.get_key_version(key_id, 1).hsm_key_id))
    return record.key


def require_whole(service: RunningService, creations: list[Creation], *, min_copies: int = 2) -> None:
    """Each key that was acknowledged is on enough members, and does what it is for; none was waited for too long."""
    assert any(made.key_id for made in creations)
    assert [made for made in creations if made.took_s > LONGEST_S and not made.retries] == []
    kms = service.client()
    try:
        with ReadOnlyStore.open(service.home.database) as store:
            for made in creations:
                if made.key_id is None:
                    continue
                hsm_key_id = HsmKeyId(store.get_key_version(made.key_id, 1).hsm_key_id)
                assert store.get_hsm_key(hsm_key_id).state is HsmKeyState.ACTIVE
                copies = store.list_hsm_key_copies(hsm_key_id)
                held = {copy.member for copy in copies if copy.state is CopyState.HELD}
                assert len(held) >= min_copies, (made, held)
                _use(kms, made)
    finally:
        kms.close()


def _use(kms, made: Creation) -> None:
    if made.spec == "SYMMETRIC_DEFAULT":
        sealed = kms.encrypt(KeyId=made.key_id, Plaintext=MESSAGE)["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == MESSAGE
        return
    answer = kms.sign(KeyId=made.key_id, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")
    public = load_der_public_key(kms.get_public_key(KeyId=made.key_id)["PublicKey"])
    public.verify(answer["Signature"], MESSAGE, ec.ECDSA(hashes.SHA256()))


def half_made(service: RunningService) -> list[str]:
    """What is being made at the moment, or was made and belongs to no key; empty in the end."""
    with ReadOnlyStore.open(service.home.database) as store:
        pending = store.list_hsm_keys(HsmKeyState.PENDING)
        return [record.key_id.hex() for record in (*pending, *store.list_unclaimed_hsm_keys())]


async def drifts_of(service: RunningService) -> list[str]:
    """What a reconcile finds on any member, in words: all that a token holds and should not, and the other way round."""
    answer = await ask_members(service.home, MembersRequest("reconcile", None), timeout_s=120)
    found = [f"{report.member}: {drift.in_words()}" for report in answer.reports for drift in report.drifts]
    return found + [f"{member}: {why}" for member, why in answer.failures.items()]


async def clean_after_reconcile(service: RunningService) -> None:
    """The second reconcile finds nothing: what the first one could repair is repaired, and there are no strays."""
    await drifts_of(service)
    assert await drifts_of(service) == []
