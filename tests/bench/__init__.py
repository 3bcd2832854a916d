"""``./dev bench``: Strongroom beside OpenBao, a bare server and itself without fdatasync, in one run on one machine.

    python -m bench --seconds 2 --rounds 3 --docs docs/benchmarks

Everything that is measured is started by this program, on homes and ports of its own, and ended by it, on
failure too (each process is killed by the kernel when this one dies). ``strongroom.bench`` is the load
generator; here are the subjects, the order of measurements, and the page with its charts. docs/benchmarks.md
says what is measured and what it does not show.
"""
