"""Strongroom: a group of HSMs as one dependable root of trust, with a key service on top.

Applications reach it through the AWS KMS protocol (any AWS SDK with an endpoint URL). ``Envelope`` encrypts
data of any size under its keys, in the application's own process; ``Client`` has the service encrypt, decrypt and sign, item by
item or in batches. The rooms of the package and who may import whom are drawn in ``docs/architecture.md``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strongroom.client import AsyncClient, AsyncEnvelope, Client, DataKeyCache, Envelope

__version__ = "0.1.0"

__all__ = ["AsyncClient", "AsyncEnvelope", "Client", "DataKeyCache", "Envelope", "__version__"]

if not TYPE_CHECKING:  # a type checker would believe that every name is here

    def __getattr__(name: str) -> Any:
        """Import what applications use when they ask for it: every room imports this package, and most need none of it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module("strongroom.client"), name)
