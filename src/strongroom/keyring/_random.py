"""Random bytes for callers: of the HSM and of the operating system, neither of which decides alone."""

from strongroom.core import Deadline, HsmUse, Secret, random_bytes

MAX_RANDOM_BYTES = 1_024


async def mixed_random(hsm: HsmUse, n_bytes: int, *, deadline: Deadline) -> Secret:
    """Return 1 to 1,024 bytes: the HSM's XOR the kernel's.

    As the two know nothing of each other, the result is as good as the better one of them: a broken generator in
    a token, or one that its maker knows, does no harm. Without an HSM there are none. Raises HsmError.
    """
    of_hsm = await hsm.random(n_bytes, deadline=deadline)
    try:
        mixed = int.from_bytes(of_hsm.reveal()) ^ int.from_bytes(random_bytes(n_bytes))
        return Secret(mixed.to_bytes(n_bytes))
    finally:
        of_hsm.zeroize()
