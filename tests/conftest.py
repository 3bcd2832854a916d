"""Fixtures that several folders of tests share."""

from running_service import initialised_home

__all__ = ["initialised_home"]
