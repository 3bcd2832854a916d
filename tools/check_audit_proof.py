#!/usr/bin/env python3
"""Check a proof of Strongroom's audit log without Strongroom: Python 3.9 or later, and the package "cryptography".

    check_audit_proof.py KEYS PROOF          the entry in PROOF ('audit prove') is in the log
    check_audit_proof.py KEYS PROOF OLD      the log of PROOF ('audit growth') goes on from the checkpoint in OLD
    check_audit_proof.py --witnesses=N ...   and at least N witnesses confirmed the checkpoint in PROOF

KEYS holds the log's public keys, a line each ('audit keys'), and those of witnesses ('audit witness show'), got from somewhere
that its operator cannot change. Prints what was shown, and the entry; or what is wrong, with exit status 1. Formats: C2SP signed-note, tlog-checkpoint, tlog-cosignature,
tlog-proof; RFC 6962, section 2.1; RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

import base64
import hashlib
import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519


def need(is_so, words):
    if not is_so:
        raise ValueError(words)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text):
    return base64.b64decode(text, validate=True)


def read_keys(text):
    keys = {}
    for line in filter(None, text.split("\n")):
        name, key_id, encoded = line.split("+", 2)
        data = unbase64(encoded)
        found = sha256(data[1:] if data[0] == 2 else name.encode() + b"\n" + data)[:4]
        need(found.hex() == key_id, "a key does not fit its id")
        keys[name, found] = data
    return keys


def verify(key, name, text, tree, signature):
    if key[0] == 1:
        ed25519.Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature, text)
    elif key[0] == 4:
        at = int.from_bytes(signature[:8], "big")
        signed = b"cosignature/v1\ntime %d\n" % at + text
        ed25519.Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[8:], signed)
    elif key[0] == 2:
        serialization.load_der_public_key(key[1:]).verify(signature, text, ec.ECDSA(hashes.SHA256()))
    else:
        need(key[0] == 6, "a key is of a kind that is not known here")
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

        signed = b"subtree/v1\n\0" + bytes([len(name)]) + name + signature[:8] + tree
        MLDSA44PublicKey.from_public_bytes(key[1:]).verify(signature[8:], signed)


def read_checkpoint(data, keys):
    """Return origin, size, root and witnesses of a checkpoint that its log signed; no key may have a bad signature."""
    text, _, lines = data.rpartition(b"\n\n")
    origin, size, root = text.split(b"\n")
    size, root, names = int(size), unbase64(root), set()
    tree = bytes([len(origin)]) + origin + bytes(8) + size.to_bytes(8, "big") + root
    for line in lines.decode().rstrip("\n").split("\n"):
        _, name, encoded = line.split(" ")
        signature = unbase64(encoded)
        if key := keys.get((name, signature[:4])):
            verify(key, name.encode(), text + b"\n", tree, signature[4:])
            names.add((name, key[0] > 2))
    origin = origin.decode()
    known = {(name, key[0] > 2) for (name, _), key in keys.items() if name == origin}
    # a log's cosigner is a key in a file: where the key in the HSMs is known, it must have signed
    need(
        (origin, (origin, False) not in known) in names, "none of the keys of the log signed this checkpoint"
    )
    return origin, size, root, sorted(name for name, is_cosigner in names if is_cosigner and name != origin)


def climb(path, first, last, old, new):
    """Follow a path up the tree: ``old`` takes in what stands to the left only, ``new`` everything."""
    for sibling in path:
        need(last, "the path is too long")
        if first & 1 or first == last:
            old, new = sha256(b"\1", sibling, old), sha256(b"\1", sibling, new)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            new = sha256(b"\1", new, sibling)
        first, last = first >> 1, last >> 1
    need(not last, "the path is too short")
    return old, new


def main(*arguments):
    n_witnesses = 0
    if arguments[0].startswith("--witnesses="):
        n_witnesses, arguments = int(arguments[0].partition("=")[2]), arguments[1:]
    keys_file, proof_file, old_file = (*arguments, None)[:3]
    keys = read_keys(Path(keys_file).read_text())
    head, _, note = Path(proof_file).read_bytes().partition(b"\n\n")
    (origin, size, root, witnesses), lines = read_checkpoint(note, keys), head.decode().split("\n")
    need(len(witnesses) >= n_witnesses, f"{len(witnesses)} witnesses confirmed this checkpoint")
    by = f", confirmed by {', '.join(witnesses)}" if witnesses else ""
    if old_file is None:
        words = [line.split(" ")[0] for line in lines[:3]]
        need(words == ["c2sp.org/tlog-proof@v1", "extra", "index"], "this is no proof of an entry")
        entry, index = unbase64(lines[1].split(" ")[1]), int(lines[2].split(" ")[1])
        leaf, path = sha256(b"\0", entry), [unbase64(line) for line in lines[3:]]
        is_in = 0 <= index < size and climb(path, index, size - 1, leaf, leaf)[1] == root
        need(is_in, "the entry is not in this tree")
        return f"{origin}: entry {index} of {size} is in the log{by}: {entry!r}"
    old = Path(old_file).read_bytes()
    old = old.partition(b"\n\n")[2] if old.startswith(b"c2sp.org/tlog-proof") else old
    old_origin, old_size, old_root, _ = read_checkpoint(old, keys)
    path = [unbase64(line) for line in lines[1:]]
    need(
        (lines[0], old_origin) == (f"old {old_size}", origin) and 0 < old_size <= size, "it is of other trees"
    )
    need(old_size < size or (path, old_root) == ([], root), "the log was changed")
    if old_size < size:
        path = path if old_size & (old_size - 1) else [old_root, *path]
        first, last = old_size - 1, size - 1
        while first & 1:
            first, last = first >> 1, last >> 1
        need(climb(path[1:], first, last, path[0], path[0]) == (old_root, root), "the log was changed")
    return f"{origin}: the log of {size} entries goes on from that of {old_size}{by}"


if __name__ == "__main__":
    try:
        print(main(*sys.argv[1:]))
    except Exception as error:
        sys.exit(f"NOT SHOWN: {type(error).__name__} {error}")
