"""Everything between a vendor's PKCS#11 library and a cluster that survives the loss of one HSM.

Each room adds one idea to the one below it:

- ``hsm.cryptoki``: the PKCS#11 C interface and nothing more; the only room that touches cffi;
- ``hsm.wire``: frames between a caller and a member worker; never imports ``cryptoki``;
- ``hsm.public_keys``: what needs no HSM: encodings, verifying, encrypting under a public half;
- ``hsm.token``: one token made safe: session pool, object lookup, recovery, vendor profile;
- ``hsm.worker``: what the process of one member does;
- ``hsm.cluster``: several members as one HSM.

A vendor library is loaded only in the process of its member worker, so that a crash or a hang of it can be
contained.
"""
