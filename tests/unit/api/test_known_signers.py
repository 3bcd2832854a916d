"""Ways of signing that verified are remembered, as many as there is room for; the oldest make room."""

from strongroom.api import _known_signers
from strongroom.api._canonical import Scope
from strongroom.api._known_signers import SIGNATURE_CHARS, Authorization, KnownSigners
from strongroom.core import Secret
from strongroom.service import Credential

SIGNATURE = "0" * SIGNATURE_CHARS


def learn(known, region):
    authorization = Authorization("AKIA", Scope("20261122", region, "kms"), ("host",), SIGNATURE)
    head = f"AWS4-HMAC-SHA256 Credential=AKIA/20261122/{region}/kms/aws4_request, Signature="
    credential = Credential("AKIA", "user/app", Secret(b"secret"))
    known.learn(authorization, head + SIGNATURE, credential, key=Secret(b"k" * 32))
    return head


def test_the_oldest_makes_room(monkeypatch):
    monkeypatch.setattr(_known_signers, "MAX_KNOWN", 3)
    known = KnownSigners()
    heads = [learn(known, f"region-{number}") for number in range(5)]
    assert [known.find(head) is not None for head in heads] == [False, False, True, True, True]
    assert known.find(heads[4]).verified.region == "region-4"
