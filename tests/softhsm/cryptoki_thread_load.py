"""Run by test_cryptoki_threads.py in a process of its own: many threads on one SoftHSM, every result checked.

Arguments: path of the module, slot label, seconds, number of threads. The PIN comes on standard input. Prints
one JSON object: how often each operation was done, and what went wrong.
"""

import hashlib
import json
import sys
import threading
import time
from collections import Counter

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.core import random_bytes
from strongroom.hsm.cryptoki import (
    AesCmac,
    AesGcm,
    Attribute,
    Ecdsa,
    EcKeyPairGen,
    GeneralError,
    KeyType,
    Module,
    ObjectClass,
    UserType,
)

A = Attribute
P256 = bytes.fromhex("06082a8648ce3d030107")


class Worker(threading.Thread):
    """One thread with a session and session objects of its own."""

    def __init__(self, module, slot, deadline):
        super().__init__()
        self.module, self.slot, self.deadline = module, slot, deadline
        self.done, self.wrong = Counter(), []

    def run(self):
        try:
            self._prepare()
            while time.monotonic() < self.deadline:
                self._round()
            self.module.close_session(self.session)
        except BaseException as error:
            self.wrong.append(repr(error))

    def _prepare(self):
        self.session = self.module.open_session(self.slot)
        self.key = random_bytes(32)
        self.software = AESGCM(self.key)
        uses = dict.fromkeys([A.ENCRYPT, A.DECRYPT, A.SIGN, A.VERIFY], True)
        self.aes = self.module.create_object(
            self.session,
            {A.CLASS: ObjectClass.SECRET_KEY, A.KEY_TYPE: KeyType.AES, A.TOKEN: False, A.VALUE: self.key}
            | uses,
        )
        public, self.ec = self.module.generate_key_pair(
            self.session,
            EcKeyPairGen(),
            public={A.CLASS: ObjectClass.PUBLIC_KEY, A.TOKEN: False, A.EC_PARAMS: P256, A.VERIFY: True},
            private={A.CLASS: ObjectClass.PRIVATE_KEY, A.TOKEN: False, A.SIGN: True},
        )
        point = self.module.get_attributes(self.session, public, [A.EC_POINT])[A.EC_POINT]
        self.public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point[2:])

    def _check(self, name, claim):
        self.done[name] += 1
        if not claim:
            self.wrong.append(f"{name} gave a wrong result")

    def _round(self):
        for _ in range(20):
            data, iv, aad = random_bytes(32), random_bytes(12), random_bytes(20)
            ciphertext = self.module.encrypt(self.session, AesGcm(iv, aad), self.aes, data)
            self._check("encrypt", ciphertext == self.software.encrypt(iv, data, aad))
            plain = self.module.decrypt(self.session, AesGcm(iv, aad), self.aes, ciphertext)
            self._check("decrypt", plain == data)
        try:
            self.module.decrypt(self.session, AesGcm(iv, b"other"), self.aes, ciphertext)
            self._check("refuse", claim=False)
        except GeneralError:
            self._check("refuse", claim=True)
        mac = self.module.sign(self.session, AesCmac(), self.aes, data)
        self.module.verify(self.session, AesCmac(), self.aes, data, mac)
        signature = self.module.sign(self.session, Ecdsa(), self.ec, hashlib.sha256(data).digest())
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        self.public.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
        self.done["sign"] += 1
        template = {A.CLASS: ObjectClass.DATA, A.TOKEN: False, A.PRIVATE: True, A.VALUE: data}
        made = self.module.create_object(self.session, template)
        self._check("object", self.module.get_attributes(self.session, made, [A.VALUE]) == {A.VALUE: data})
        self.module.destroy_object(self.session, made)


def main():
    path, label, seconds, n_threads = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    module = Module.load(path)
    slot = next(slot for slot in module.slots() if module.token_info(slot).label == label)
    login = module.open_session(slot)
    module.login(login, UserType.USER, sys.stdin.buffer.read())
    sys.setswitchinterval(0.0005)  # many more switches than usual
    workers = [Worker(module, slot, time.monotonic() + seconds) for _ in range(n_threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    done = sum((worker.done for worker in workers), Counter())
    wrong = [text for worker in workers for text in worker.wrong]
    module.finalize()
    print(json.dumps({"done": done, "wrong": wrong[:20], "busy_threads": sum(bool(w.done) for w in workers)}))


if __name__ == "__main__":
    main()
