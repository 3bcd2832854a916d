"""Backups that open with m of n custodians: the backup set, the bundle, and what proves both."""
