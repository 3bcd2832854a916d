"""What a worker is given to unwrap comes from outside: each algorithm takes the lengths that blobs have, and no others."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from strongroom.core import ConfigError, HsmRequestError, RootId, WrapAlgorithm, WrappedBytes
from strongroom.envelope import Blob, MalformedBlobError, Purpose
from strongroom.hsm.token import WRAP_PREFERENCE, load_profile
from strongroom.hsm.token._wrapping import MAX_KEY_BYTES, root_parts
from strongroom.hsm.token._wrappings import wrapping_for

ROOT_ID = RootId(bytes(range(16)))
WRAPPINGS = [wrapping_for(None, load_profile("softhsm2"), algorithm) for algorithm in WRAP_PREFERENCE]
HASHES = [b"\1", b"\2", b"\3", b"\4"]
LENGTHS = st.one_of(st.integers(0, 64), st.sampled_from([384, 512, 1024, 1152, 4096, 4112, 4128]))


def is_blob(wrapped):
    try:
        Blob.of_wrapped(Purpose.DOMAIN_KEK, ROOT_ID, wrapped).encode()
    except MalformedBlobError:
        return False
    return True


@given(
    wrapping=st.sampled_from(WRAPPINGS),
    iv=st.binary(max_size=20),
    ciphertext=LENGTHS,
    tag=st.sampled_from([0, 12, 16, 31, 32, 33]),
)
@example(WRAPPINGS[0], bytes(16), 32, 16)
@example(WRAPPINGS[1], bytes(16), 48, 32)
@example(WRAPPINGS[2], b"\x02", 384, 0)
@example(WRAPPINGS[2], b"\x05", 384, 0)
def test_what_passes_the_check_is_what_fits_into_a_blob(wrapping, iv, ciphertext, tag):
    wrapped = WrappedBytes(wrapping.algorithm, iv, bytes(ciphertext), bytes(tag))
    try:
        wrapping.check(wrapped)
    except HsmRequestError:
        too_long = ciphertext > MAX_KEY_BYTES
        unknown_hash = wrapping.algorithm is WrapAlgorithm.HSM_RSA_OAEP and iv not in HASHES
        assert not is_blob(wrapped) or too_long or unknown_hash
    else:
        assert is_blob(wrapped)


@pytest.mark.parametrize("algorithm", WRAP_PREFERENCE)
def test_no_two_objects_of_a_root_have_one_name_and_class(algorithm):
    parts = root_parts(ROOT_ID, algorithm)
    assert len(set(parts)) == len(parts)
    assert parts[0].cka_id == ROOT_ID
    assert all(part.cka_id[:16] == ROOT_ID for part in parts)


def test_no_hsm_wraps_by_what_is_done_in_software():
    with pytest.raises(ConfigError):
        wrapping_for(None, load_profile("softhsm2"), WrapAlgorithm.XAES_256_GCM)
