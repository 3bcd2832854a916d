"""One file per revision, ``rNNNN_what.py``, never changed after a release."""
