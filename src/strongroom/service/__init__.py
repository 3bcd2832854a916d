"""One function per verb: authorise, gate, audit, act, audit."""

from strongroom.service._errors import AccessDeniedError
from strongroom.service._values import Caller, Credential, KeyService, Refusal

__all__ = ["AccessDeniedError", "Caller", "Credential", "KeyService", "Refusal"]
