"""What a P-256 signature by ``cryptography`` takes, with nothing around it, on as many cores as the service may use."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean

from strongroom.bench import BenchError
from strongroom.config import worker_environment

_HERE = str(Path(__file__).parents[1])
_START_LIMIT_S = 60.0


def signing_alone_us(*, seconds: float) -> float:
    """Return the microseconds of processor time of one signature, while all cores sign. Raises BenchError.

    All, since a core is slower beside another that works, and beside the service there is the load generator.
    """
    environment = worker_environment({})
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (_HERE, environment.get("PYTHONPATH", ""))))
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "bench.signing_program", str(seconds)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in os.sched_getaffinity(0)
    ]
    try:
        said = [process.communicate(timeout=seconds + _START_LIMIT_S)[0] for process in processes]
        return fmean(map(float, said))
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise BenchError("the program that signs alone said no figure") from error
    finally:
        for process in processes:
            process.kill()
            process.wait()
