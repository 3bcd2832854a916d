"""Strongroom: a group of HSMs as one dependable root of trust, with a key service on top.

Applications reach it through the AWS KMS protocol (any AWS SDK with an endpoint URL). The rooms of the
package and who may import whom are drawn in ``docs/architecture.md``.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
