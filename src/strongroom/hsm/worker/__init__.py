"""What a member worker does: the frames of ``hsm.wire`` in front of one token of ``hsm.token``.

Use verbs and admin verbs have sockets of their own. Admin verbs pass an ``ApprovalGate`` first, which is
given by whoever builds the worker and refuses everything by default.

    worker = MemberWorker(performer_for(token), threads=profile.threads, gate=ClosedGate())
    await worker.listen(use_path, admin_path)
    await worker.broken.wait()

Threading: the event loop reads and writes frames and answers Ping; HSM calls run on as many threads as the
profile allows (one for SoftHSM). So a worker whose HSM call hangs still says that it hangs, and a worker
that does not even answer Ping is frozen as a whole.
"""

from strongroom.hsm.worker._admission import Admission
from strongroom.hsm.worker._batch_job import SLICE_S, BatchRun
from strongroom.hsm.worker._custody_performer import CustodyDoor, custody_calls
from strongroom.hsm.worker._direct_performer import DirectKeys, direct_admin_calls, direct_use_calls
from strongroom.hsm.worker._health import Health, WorkerHealth
from strongroom.hsm.worker._performer import Performer, TokenPerformer
from strongroom.hsm.worker._runner import MAX_BATCHES, MAX_WAITING, CallRunner
from strongroom.hsm.worker._worker import MemberWorker

__all__ = [
    "MAX_BATCHES",
    "MAX_WAITING",
    "SLICE_S",
    "Admission",
    "BatchRun",
    "CallRunner",
    "CustodyDoor",
    "DirectKeys",
    "Health",
    "MemberWorker",
    "Performer",
    "TokenPerformer",
    "WorkerHealth",
    "custody_calls",
    "direct_admin_calls",
    "direct_use_calls",
]
