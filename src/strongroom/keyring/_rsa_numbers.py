"""Whether the numbers of an RSA private key belong together (RFC 8017, section 3.2; FIPS 186-5, appendix A.1.1)."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from strongroom.core import random_bytes

_ROUNDS: Final = 8
_MAX_BITS: Final = 4_096


def is_sound_rsa(numbers: rsa.RSAPrivateNumbers) -> bool:
    """Whether modulus, primes, exponents and coefficient fit, and the primes are two, of one size, and prime.

    Primes are tried with eight random bases each (Miller and Rabin): that finds what was damaged on its way. Who brings
    a key that was made to pass has broken nobody's key but its own. At most 4,096 bits, else False.
    """
    p, q, d = numbers.p, numbers.q, numbers.d
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    half = n.bit_length() // 2
    return (
        n.bit_length() <= _MAX_BITS
        and p != q
        and p.bit_length() == q.bit_length() == half
        and p * q == n
        and 1 < d < n
        and d * e % (p - 1) == 1
        and d * e % (q - 1) == 1
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and 0 < numbers.iqmp < p
        and numbers.iqmp * q % p == 1
        and _is_prime(p)
        and _is_prime(q)
    )


def _is_prime(number: int) -> bool:
    """Try a large odd number; an even one is none."""
    if number % 2 == 0:
        return False
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    return all(_passes(number, twos, _base(number)) for _ in range(_ROUNDS))


def _base(number: int) -> int:
    """Return a random number from 2 to ``number - 2``."""
    return 2 + int.from_bytes(random_bytes(number.bit_length() // 8 + 8), "big") % (number - 3)


def _passes(number: int, twos: int, base: int) -> bool:
    found = pow(base, (number - 1) >> twos, number)
    if found in {1, number - 1}:
        return True
    for _ in range(twos - 1):
        found = pow(found, 2, number)
        if found == number - 1:
            return True
    return False
