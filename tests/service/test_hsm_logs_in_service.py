"""A real service, its members' tokens watched by another program: a use that was smuggled in is found, and nothing else is called one."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from running_service import RunningService, copy_home
from spied_member import key_names, luna_records, ouid, seen_calls, spy_on, spy_path
from strongroom.audit import read_entries, unknown_details

USES = {
    *("C_Sign", "C_Encrypt", "C_Decrypt", "C_WrapKey", "C_UnwrapKey", "C_DeriveKey", "C_GenerateKey"),
    *("C_GenerateKeyPair", "C_CreateObject", "C_DestroyObject", "C_CopyObject", "C_SetAttributeValue"),
}
CLUSTER = "cluster-strongroomhsms"
MESSAGE = b"to be signed inside"
SMUGGLE = """
import sys
from strongroom.hsm.cryptoki import Attribute, Ecdsa, KeyType, Module, ObjectClass, UserType
module_path, pin_path = sys.argv[1:3]
module = Module.load(module_path)
session = module.open_session(module.slots()[0])
module.login(session, UserType.USER, open(pin_path, "rb").read().strip())
wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.KEY_TYPE: KeyType.EC, Attribute.SIGN: True}
keys = module.find_objects(session, wanted)
module.get_attributes(session, keys[0], (Attribute.ID,))
module.sign(session, Ecdsa(), keys[0], bytes(32))
"""

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def strongroom(home, *arguments, data=b""):
    found = subprocess.run(
        [sys.executable, "-m", "strongroom", *arguments, "--json"],
        input=data,
        capture_output=True,
        env={**os.environ, "STRONGROOM_HOME": str(home.root)},
        check=False,
    )
    return found.returncode, json.loads(found.stdout)


def use_keys_inside(kms, n_uses):
    store = kms.create_custom_key_store(CustomKeyStoreName="hsm", CloudHsmClusterId=CLUSTER)[
        "CustomKeyStoreId"
    ]
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    in_hsms = {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store}
    signing = kms.create_key(**in_hsms, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"][
        "KeyId"
    ]
    symmetric = kms.create_key(**in_hsms)["KeyMetadata"]["KeyId"]
    for _ in range(n_uses):
        kms.sign(KeyId=signing, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")
        sealed = kms.encrypt(KeyId=symmetric, Plaintext=MESSAGE)["CiphertextBlob"]
        kms.decrypt(CiphertextBlob=sealed)


def smuggle_a_use(home, member, trace):
    """Sign with the member's key as whoever has its PIN can, past us; the token sees it."""
    config = home.tokens / f"{member}.conf"
    environment = {
        **os.environ,
        "SOFTHSM2_CONF": str(config),
        "PKCS11SPY": "/usr/lib/softhsm/libsofthsm2.so",
        "PKCS11SPY_OUTPUT": str(trace),
    }
    pin = home.root / "pins" / member
    subprocess.run([sys.executable, "-c", SMUGGLE, spy_path(), str(pin)], env=environment, check=True)


def taken_in(home, member, lines):
    arguments = ("--format", "luna-syslog", "--date-order", "ymd", "--member", member, "-")
    status, said = strongroom(home, "audit", "hsm", "import", *arguments, data=b"".join(lines))
    assert status == 0, said
    return said["imports"][0]


def compared(home, member, *options):
    status, said = strongroom(home, "audit", "hsm", "compare", "--member", member, *options)
    return status, said["members"][member]


@pytest.mark.slow
def test_a_smuggled_use_and_a_dropped_record_are_found_by_a_clock_minutes_off(initialised_home, tmp_path):
    home = copy_home(initialised_home, tmp_path / "home")
    traces = spy_on(home, "alpha", "beta", hsm_log="syslog")
    smuggled = tmp_path / "smuggled.spy"
    with RunningService(home) as service:
        service.start()
        use_keys_inside(service.client(), 4)
        time.sleep(
            7.0
        )  # of a use within the tolerance of when workers first began to count nobody can tell whose it was
        smuggle_a_use(home, "alpha", smuggled)
        for _ in range(3):
            service.client().list_keys()
        service.signal("beta", signal.SIGKILL)  # what it had asked for is counted all the same
        service.stop()

    lines = luna_records([traces["beta"]], clock_ahead_s=400)
    used = next(place for place, line in enumerate(lines) if place > 10 and b"LUNA_DECRYPT" in line)
    assert taken_in(home, "beta", lines[:used] + lines[used + 1 :])["missing"] == 1
    status, found = compared(home, "beta")
    assert (status, found["unknown"], found["ours_only"]) == (0, 0, 1)
    assert abs(found["offset_s"] - 400) <= 2
    assert taken_in(home, "beta", lines)["added"] == 1
    status, found = compared(home, "beta")
    n_uses = sum(call.function in USES for call in seen_calls(traces["beta"]))
    assert (status, found["unknown"], found["ours_only"], found["matched"]) == (0, 0, 0, n_uses)

    taken_in(home, "alpha", luna_records([traces["alpha"], smuggled], clock_ahead_s=-130))
    names = tmp_path / "names"
    names.write_text(key_names(traces["alpha"]))
    for options in ((), ("--keys", str(names))):
        status, found = compared(home, "alpha", *options)
        assert (status, found["unknown"], found["ours_only"]) == (1, 1, 0)
        assert abs(found["offset_s"] + 130) <= 2
    wanted = next(call.key_id for call in seen_calls(smuggled) if call.function == "C_Sign")
    assert (found["first_unknown"][0]["use"], found["first_unknown"][0]["key"]) == ("sign", ouid(wanted))

    events = [entry for entry in read_entries(home.audit) if entry.event.startswith("hsm.")]
    assert {"hsm.log_imported", "hsm.log_compared", "hsm.unknown_use"} <= {entry.event for entry in events}
    assert not any(unknown_details(entry) for entry in events)
