"""One function per verb: authorise, record the intent, act, record the outcome, answer.

    service = Service(keyring, audit, policy=RolePolicy({...}), credentials={...})
    made = await service.encrypt(caller, KeyByAlias("alias/payroll"), Secret(b"..."), context={})

``KeyService`` is what the HTTP room is written against; ``ImmediateService`` is its express lane for uses of keys that are
in memory. Threading: a Service belongs to one event loop. It
knows nothing of HTTP, and nothing of AWS but the names of its verbs in the audit log.
"""

from strongroom.service._errors import AccessDeniedError
from strongroom.service._immediate import ImmediateService, Now
from strongroom.service._policy import FOR_EVERYBODY, ROLES_FOR, Role, RolePolicy
from strongroom.service._service import Service
from strongroom.service._values import Caller, Credential, KeyService, Refusal

__all__ = [
    "FOR_EVERYBODY",
    "ROLES_FOR",
    "AccessDeniedError",
    "Caller",
    "Credential",
    "ImmediateService",
    "KeyService",
    "Now",
    "Refusal",
    "Role",
    "RolePolicy",
    "Service",
]
