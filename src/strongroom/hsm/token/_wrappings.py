"""Which class does which wrap algorithm."""

from strongroom.core import ConfigError, WrapAlgorithm
from strongroom.hsm.cryptoki import Module
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._wrapping import Wrapping
from strongroom.hsm.token._wrapping_cbc_hmac import CbcHmacWrapping
from strongroom.hsm.token._wrapping_gcm import GcmWrapping
from strongroom.hsm.token._wrapping_oaep import OaepWrapping


def wrapping_for(module: Module, profile: Profile, algorithm: WrapAlgorithm) -> Wrapping:
    """Make the ``Wrapping`` of an algorithm. Raises ConfigError for one that is done in software."""
    if algorithm is WrapAlgorithm.HSM_AES_GCM:
        return GcmWrapping(module, profile)
    if algorithm is WrapAlgorithm.HSM_AES_CBC_HMAC:
        return CbcHmacWrapping(module, profile)
    if algorithm is WrapAlgorithm.HSM_RSA_OAEP:
        return OaepWrapping(module, profile)
    raise ConfigError(f"no HSM wraps by {algorithm.name}")
