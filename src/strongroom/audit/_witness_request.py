"""What a log and a witness say to each other (C2SP tlog-witness, add-checkpoint), within limits. Pure; all of it is outside bytes.

    POST <prefix>/add-checkpoint        200: lines of cosignatures
        old SIZE                        409: the size of what was cosigned last, ``text/x.tlog.size``
        base64(hash) ...                400, 403, 404, 422: no
        (empty line)
        checkpoint

The form of the request is that of ``GrowthProof``, with fewer hashes.
"""

from strongroom.audit._checkpoint_proof import GrowthProof, read_growth_proof
from strongroom.audit._errors import MalformedNoteError
from strongroom.audit._note import Signature, decode_number, read_signatures
from strongroom.audit._tree import MAX_SIZE

ADD_CHECKPOINT = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
MAX_REQUEST_BYTES = 65_536
"""Of a request: room for 63 hashes and a checkpoint with sixteen signatures by ML-DSA-44."""
MAX_ANSWER_BYTES = 65_536
MAX_PROOF_HASHES = 63
_MAX_SIZE_BYTES = 32


def read_add_checkpoint(data: bytes) -> GrowthProof:
    """Read a request. Raises MalformedNoteError."""
    if len(data) > MAX_REQUEST_BYTES:
        raise MalformedNoteError(f"a request has {len(data)} bytes; {MAX_REQUEST_BYTES} are the most")
    request = read_growth_proof(data)
    if len(request.path) > MAX_PROOF_HASHES:
        raise MalformedNoteError(f"a request has {len(request.path)} hashes; {MAX_PROOF_HASHES} are the most")
    return request


def encode_size(size: int) -> bytes:
    """Return the body that names the size of what was cosigned last."""
    return b"%d\n" % size


def read_size(data: bytes) -> int:
    """Read it. Raises MalformedNoteError."""
    if len(data) > _MAX_SIZE_BYTES or not data.endswith(b"\n"):
        raise MalformedNoteError("the witness names no size")
    try:
        text = data[:-1].decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedNoteError("the witness names no size") from error
    return decode_number(text, MAX_SIZE)


def encode_cosignatures(signatures: tuple[Signature, ...]) -> bytes:
    """Return the body of an answer with cosignatures."""
    return "".join(one.line() for one in signatures).encode()


def read_cosignatures(data: bytes) -> tuple[Signature, ...]:
    """Read it: 1 to 64 lines, of which nothing is verified yet. Raises MalformedNoteError."""
    if len(data) > MAX_ANSWER_BYTES:
        raise MalformedNoteError("the answer of the witness is too long")
    try:
        return read_signatures(data.decode())
    except UnicodeDecodeError as error:
        raise MalformedNoteError("the answer of the witness is not UTF-8") from error
