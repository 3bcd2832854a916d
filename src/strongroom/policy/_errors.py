"""What can be wrong with a policy document."""

from strongroom.core import StrongroomError


class MalformedPolicyError(StrongroomError):
    """The document is no policy that this service can keep to: the message says what of it, and where.

    The one error of reading documents. What is not understood is refused, never passed over.
    """
