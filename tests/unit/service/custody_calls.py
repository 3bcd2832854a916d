"""The verbs about officers and approvals as requests to the admin API, and who may make them."""

CUSTODY_CALLS = {
    "DescribeCustody": lambda approval, signature: ("custody", None),
    "ListApprovals": lambda approval, signature: ("approvals", None),
    "DescribeApproval": lambda approval, signature: (f"approvals/{approval}", None),
    "GetEvidence": lambda approval, signature: (f"approvals/{approval}/evidence", None),
    "RequestApproval": lambda approval, signature: (
        "approvals",
        {"verb": "RotateRoot", "parameters": {"root_id": "00" * 16}},
    ),
    "ApproveRequest": lambda approval, signature: (f"approvals/{approval}/approve", {"signature": signature}),
    "RejectRequest": lambda approval, signature: (f"approvals/{approval}/reject", {"signature": signature}),
}
"""Verb to path and members; None: a GET."""
ONLY_ASKING = {"RequestApproval", "ApproveRequest", "RejectRequest"}
ASKING = {"security-officer", "crypto-officer", "operator", "custodian", "witness"}
READING = ASKING | {"auditor", "crypto-user"}
