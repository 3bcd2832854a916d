"""The fault shim forwards everything; its rules strike the calls that they name, and no others."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from faults.fault_shim import FaultShim, functions
from faults.shimmed_softhsm import DATA, IV, A, encrypted, make_key
from fixtures_softhsm import softhsm_library
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import (
    AesGcm,
    DeviceError,
    GeneralError,
    Module,
    RsaKeyPairGen,
    VendorError,
)

pytestmark = pytest.mark.softhsm


def test_every_function_of_the_list_is_there_in_its_order():
    assert functions() == tuple(name for name, _ in cryptoki._declarations.FUNCTIONS_2_40)
    assert len(functions()) == 68


def test_without_orders_it_is_the_real_module_and_counts_calls(shim, module, session, key):
    before = shim.calls("C_Encrypt"), shim.calls("C_EncryptInit"), shim.calls()
    sealed = encrypted(module, session, key)
    assert module.decrypt(session, AesGcm(IV, b"aad"), key, sealed) == DATA
    assert (shim.calls("C_Encrypt"), shim.calls("C_EncryptInit")) == (before[0] + 1, before[1] + 1)
    assert shim.calls() == before[2] + 4
    assert shim.count("unlocked_initialises") == 0


def test_the_nth_call_fails_and_no_other(shim, module, session, key):
    fault = shim.fail("C_EncryptInit", "CKR_DEVICE_ERROR", first=2, last=3)
    outcomes = []
    for _ in range(5):
        try:
            encrypted(module, session, key)
            outcomes.append("ok")
        except DeviceError:
            outcomes.append("device error")
    assert outcomes == ["ok", "device error", "device error", "ok", "ok"]
    assert fault.hits == 2


def test_a_fault_lasts_until_it_is_lifted_or_its_time_is_over(shim, module, session):
    fault = shim.fail("C_GenerateRandom", 0x8000_001A)
    for _ in range(3):
        with pytest.raises(VendorError):
            module.generate_random(session, 8)
    fault.lift()
    module.generate_random(session, 8)
    shim.fail("C_GenerateRandom", "CKR_DEVICE_MEMORY", for_s=0.05)
    time.sleep(0.06)
    module.generate_random(session, 8)


def test_faults_by_chance_strike_about_as_often_as_told_and_the_same_calls_for_one_seed(
    shim, module, session
):
    fault = shim.fail("C_GenerateRandom", "CKR_GENERAL_ERROR", chance=0.3)
    for _ in range(400):
        with contextlib.suppress(GeneralError):
            module.generate_random(session, 8)
    assert 70 < fault.hits < 170


def test_an_answer_can_be_lost_after_the_work_was_done_or_be_a_lie(shim, module, session):
    shim.fail("C_GenerateKey", "CKR_DEVICE_ERROR", last=1, after=True)
    with pytest.raises(DeviceError):
        make_key(module, session, b"lost answer")
    found = module.find_objects(session, {A.ID: b"lost answer"})
    assert len(found) == 1
    shim.fail("C_DestroyObject", "CKR_OK", last=1)
    module.destroy_object(session, found[0])
    assert module.find_objects(session, {A.ID: b"lost answer"}) == found


def test_a_call_that_failed_half_way_leaves_its_operation_active(shim, module, session, key):
    shim.fail("C_Encrypt", "CKR_GENERAL_ERROR", last=1)
    with pytest.raises(GeneralError):
        encrypted(module, session, key)
    with pytest.raises(cryptoki.OperationActiveError):
        encrypted(module, session, key)


def test_calls_take_longer_by_the_delay(shim, module, session):
    shim.delay("C_GenerateRandom", 0.05)
    started = time.monotonic()
    module.generate_random(session, 8)
    assert time.monotonic() - started >= 0.05


def test_a_call_hangs_until_it_is_released_and_others_go_on(shim, module, session, token):
    fault = shim.hang("C_GenerateRandom", last=1)
    got = []
    thread = threading.Thread(target=lambda: got.append(module.generate_random(session, 8)))
    thread.start()
    try:
        fault.wait_until_holding()
        assert module.generate_random(module.open_session(token.slot), 8)
        assert got == []
    finally:
        fault.lift()
        thread.join(60)
    assert len(got) == 1
    assert fault.holding == 0


def test_two_calls_at_once_in_one_session_are_counted(shim, module, session):
    before = shim.count("overlaps")
    started = shim.calls("C_GenerateKeyPair")
    public = {A.MODULUS_BITS: 3072, A.PUBLIC_EXPONENT: b"\x01\x00\x01", A.TOKEN: False}
    slow = {"public": public, "private": {A.TOKEN: False}}
    thread = threading.Thread(target=lambda: module.generate_key_pair(session, RsaKeyPairGen(), **slow))
    thread.start()
    while thread.is_alive():
        if shim.calls("C_GenerateKeyPair") > started:
            module.session_info(session)
        time.sleep(0.002)
    thread.join()
    assert shim.count("overlaps") > before


_IN_A_PROCESS = """
import os, sys
from strongroom.hsm.cryptoki import CryptokiNotInitializedError, Module
module = Module.load(sys.argv[1])
session = module.open_session(module.slots()[0])
if sys.argv[2] == "fork":
    child = os.fork()
    if not child:
        try:
            module.generate_random(session, 8)
        except CryptokiNotInitializedError:
            os._exit(7)
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
for _ in range(3):
    module.generate_random(session, 8)
    print("called", flush=True)
"""


def _in_a_process(shim, what):
    command = [sys.executable, "-c", _IN_A_PROCESS, str(shim.library), what]
    return subprocess.run(
        command, env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("order", "status"), [("crash", -signal.SIGABRT), ("exit", 3)], ids=["abort", "exit"]
)
def test_a_process_ends_in_the_nth_call(shim, token, order, status):
    getattr(shim, order)("C_GenerateRandom", nth=3)
    ended = _in_a_process(shim, "call")
    assert ended.returncode == status
    assert ended.stdout.count("called") == 2


def test_orders_reach_other_processes_and_their_calls_are_counted(shim, token):
    before = shim.calls("C_GenerateRandom")
    shim.print_at_start()
    ended = _in_a_process(shim, "call")
    assert "Vendor PKCS#11 library" in ended.stdout
    assert shim.calls("C_GenerateRandom") == before + 3


def test_a_child_after_fork_is_not_initialised(shim, token):
    before = shim.count("foreign_calls")
    assert _in_a_process(shim, "fork").returncode == 7
    assert shim.count("foreign_calls") == before + 1


def test_many_threads_use_it_at_once(shim, module, token, session, key):
    wrong = []

    def work():
        own = module.open_session(token.slot)
        for number in range(150):
            iv = number.to_bytes(12, "big")
            sealed = module.encrypt(own, AesGcm(iv, b""), key, DATA)
            if module.decrypt(own, AesGcm(iv, b""), key, sealed) != DATA:
                wrong.append(number)
        module.close_session(own)

    shim.delay("C_Encrypt", 0.001, chance=0.1)
    before, overlaps = shim.calls("C_Encrypt"), shim.count("overlaps")
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert shim.calls("C_Encrypt") - before == 8 * 150
    assert shim.count("overlaps") == overlaps


def test_an_orders_file_that_is_none_is_refused(tmp_path):
    with FaultShim(tmp_path / "one", softhsm_library()) as shim:
        library = shim.library.rename(tmp_path / "elsewhere.so")
        with pytest.raises(cryptoki.ModuleLoadError):
            Module.load(str(library))
