"""A real rsyslog over mutual TLS through restarts, kills, a stop of ten minutes and new certificates on both sides, under load.

It gets every entry at least once, those of a writer in their order; what it got twice shows by its number.
"""

import re
import time

import pytest
from cryptography import x509

from client_certificates import make_certificate
from rsyslog_server import Rsyslog, missing
from running_service import RunningService, copy_home
from service_load import Load
from strongroom.audit import read_entries

LIMIT_S = 120
_FOUND = re.compile(rb'\[strongroom@32473 writer="([a-z0-9-]+)" seq="([0-9]+)"')

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class Certificates:
    """Of both sides, in the files that both name; ``rotate`` changes all of them in steps that never lock anybody out."""

    def __init__(self, folder):
        self._folder = folder
        self._ca = make_certificate(folder, "ca-1", "logs CA")
        self._old_ca = b""
        self._name(1)
        self.give("server")
        self.give("client")

    def _name(self, number):
        made = (self._folder / f"ca-{number}.pem").read_bytes()
        (self._folder / "ca.pem").write_bytes(self._old_ca + made)
        self._old_ca = made

    def new_ca(self):
        """Have both sides trust a second CA beside the first one."""
        self._ca = make_certificate(self._folder, "ca-2", "logs CA 2")
        self._name(2)

    def give(self, side):
        name = {"server": "localhost", "client": "strongroom"}[side]
        make_certificate(self._folder, side, name, self._ca, [x509.DNSName(name)])

    def forget_old_ca(self):
        (self._folder / "ca.pem").write_bytes(self._old_ca)


@pytest.fixture
def certificates(tmp_path):
    if lacks := missing():
        pytest.skip(f"needs {lacks}")
    (tmp_path / "rsyslog").mkdir()
    return Certificates(tmp_path / "rsyslog")


@pytest.fixture
def rsyslog(certificates, tmp_path):
    server = Rsyslog(tmp_path / "rsyslog")
    server.start()
    yield server
    server.close()


@pytest.fixture
def home(initialised_home, tmp_path, rsyslog):
    made = copy_home(initialised_home, tmp_path / "home")
    made.config_file.write_text(
        f"{made.config_file.read_text()}\n"
        '[[audit.sinks]]\nkind = "syslog"\nname = "siem"\nhost = "127.0.0.1"\nserver_name = "localhost"\n'
        f'port = {rsyslog.port}\nca_file = "{rsyslog.folder}/ca.pem"\ncertificate = "{rsyslog.folder}/client.pem"\n'
        f'key = "{rsyslog.folder}/client.pem"\nconfirm_every_s = 1.0\ntimeout_s = 3.0\nretry_max_s = 1.0\n'
    )
    return made


def arrived(rsyslog):
    """Return writer and number of each message, in the order in which they came."""
    numbers = (_FOUND.search(line) for line in rsyslog.received())
    return [(one[1].decode(), int(one[2])) for one in numbers if one]


def wait_for_all(home, rsyslog):
    """Wait until everything that is in the log now has arrived."""
    wanted = {(entry.writer, entry.seq) for entry in read_entries(home.audit)}
    end = time.monotonic() + LIMIT_S
    while lacking := len(wanted - set(arrived(rsyslog))):
        assert time.monotonic() < end, f"{lacking} entries did not arrive"
        time.sleep(0.5)


def require_order(came):
    """Check that no writer's entry came before the one in front of it; return how many came again."""
    newest, repeats = dict.fromkeys({writer for writer, _ in came}, 0), 0
    for writer, seq in came:
        assert seq <= newest[writer] + 1, f"{writer}: {newest[writer]} is followed by {seq}"
        repeats += seq <= newest[writer]
        newest[writer] = max(newest[writer], seq)
    return repeats


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("stop_s", [10, pytest.param(600, id="ten-minutes")])
def test_rsyslog_gets_every_entry_in_order_through_all_of_it(home, rsyslog, certificates, stop_s):
    with RunningService(home) as service:
        service.start()
        with Load(service, clients=2) as load:
            load.run_on(2)
            for end in (rsyslog.stop, rsyslog.kill, rsyslog.stop):
                end()
                load.run_on(1)
                rsyslog.start()
                load.run_on(1)
            wait_for_all(home, rsyslog)
            rsyslog.stop()
            before, began = load.calls, time.monotonic()
            load.run_on(stop_s)
            away_s, unsent = time.monotonic() - began, load.calls - before
            rsyslog.start()
            wait_for_all(home, rsyslog)
            certificates.new_ca()
            for side in ("server", "client"):
                rsyslog.stop()  # it reads its files at its start only; we read ours for each connection
                certificates.give(side)
                rsyslog.start()
                load.run_on(2)
                wait_for_all(home, rsyslog)
            rsyslog.stop()
            certificates.forget_old_ca()
            rsyslog.start()
            load.run_on(2)
        assert load.failures == []
        wait_for_all(home, rsyslog)
        assert service.stop() == 0
    came = arrived(rsyslog)
    repeats = require_order(came)
    print(
        f"{len(set(came))} entries arrived in order, {repeats} of them again; rsyslog was away for {away_s:.0f} s,"
        f" {unsent} calls meanwhile, the slowest call of all took {load.slowest_s:.2f} s"
    )
