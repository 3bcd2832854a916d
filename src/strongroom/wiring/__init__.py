"""The one place that builds real objects and joins them.

Its modules are imported by name and nothing is re-exported here, so that an API process, which takes
``strongroom.wiring.data_plane``, never imports the PKCS#11 binding that ``strongroom.wiring.member`` needs.

Everything here is built once, at the start of a process, from a ``Config``; nothing keeps state of its own.
"""

__all__: list[str] = []
