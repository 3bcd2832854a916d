"""What ``strongroom init --script`` writes beside tokens and database: access keys for whom they are, TLS, configuration."""

from collections.abc import Mapping, Sequence

import msgspec

from strongroom.config import (
    ClusterConfig,
    Config,
    CustodyConfig,
    Home,
    MemberConfig,
    PinsConfig,
    SecretSource,
    render_config,
)
from strongroom.core import Clock, Secret
from strongroom.wiring.cluster_setup import Progress
from strongroom.wiring.development_tls import CERTIFICATE_FILE, make_development_tls
from strongroom.wiring.durable_files import write_durably
from strongroom.wiring.first_records import MadeAccessKey
from strongroom.wiring.home import sync_tree
from strongroom.wiring.init_script_form import HomeScript, InitScript, ScriptAccessKey
from strongroom.wiring.pin_delivery import deliver
from strongroom.wiring.server_tls import server_tls


class AccessKeyFile(msgspec.Struct, frozen=True):
    """An access key as it is handed out, in JSON."""

    principal: str
    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"AccessKeyFile({self.principal} {self.access_key_id})"


def scripted_config(script: HomeScript, members: Sequence[MemberConfig], *, genesis_sha256: str) -> Config:
    """Return strongroom.toml as the script has it, with members whose tokens are known.

    Without ``genesis_sha256`` it is that of a home without officers.
    """
    cluster = script.cluster
    given = {name: getattr(cluster, name) for name in ("id", "min_copies", "max_direct_keys")}
    chosen: Mapping[str, object] = {name: value for name, value in given.items() if value is not None}
    if len(script.members) == 1 and "min_copies" not in chosen:
        chosen = {**chosen, "min_copies": 1}
    sealing_key = script.pins.sealing_key
    return Config(
        version=1,
        cluster=msgspec.structs.replace(ClusterConfig(members=list(members)), **chosen),
        service=script.service,
        cache=script.cache,
        deadlines=script.deadlines,
        lifecycle=script.lifecycle,
        oidc=script.oidc,
        quotas=script.quotas,
        policy=script.policy,
        custody=CustodyConfig(genesis_sha256=genesis_sha256) if genesis_sha256 else None,
        pins=PinsConfig(sealing_key=SecretSource(sealing_key.file, sealing_key.credential)),
    )


def check_own_tls(home: Home, script: HomeScript, config: Config) -> None:
    """Load certificate and key that the script names, before anything is done. Raises ConfigError."""
    if script.tls is None:
        server_tls(config, home)


def access_key_paths(script: InitScript) -> dict[str, str]:
    """Return where the secret of each first access key is put, relative to the home, by principal."""
    return {key.principal: _path(key) for key in script.access_keys}


def hand_out_access_keys(home: Home, script: InitScript, made: Sequence[MadeAccessKey]) -> None:
    """Write each secret where the script wants it, in the place of one that an interrupted run left. Raises DeliveryError."""
    officers = {officer.id: officer for officer in script.officers}
    for key, access_key in zip(script.access_keys, made, strict=True):
        path = home.root / _path(key)
        document = AccessKeyFile(
            access_key.principal, access_key.access_key_id, access_key.secret.reveal().decode()
        )
        content = msgspec.json.format(msgspec.json.encode(document)) + b"\n"
        if key.deliver_to:
            path.unlink(missing_ok=True)
            deliver(Secret(content), [officers[name].recipient for name in key.deliver_to], path)
        else:
            write_durably(path, content, mode=0o400)
        access_key.secret.zeroize()


def finish_home(home: Home, script: HomeScript, config: Config, *, clock: Clock, progress: Progress) -> None:
    """Make TLS where the script wants it made, and write the configuration; all is on disk when this returns."""
    if script.tls is not None and not (home.tls / CERTIFICATE_FILE).exists():
        progress(
            f"making a TLS certificate authority, and a certificate for {', '.join(script.tls.make_for)}"
        )
        make_development_tls(home.tls, clock=clock, hosts=script.tls.make_for)
    progress("writing the configuration")
    write_durably(home.config_file, render_config(config).encode(), mode=0o600)
    sync_tree(home.root)


def _path(key: ScriptAccessKey) -> str:
    name = key.principal.replace("/", "-")
    return f"custody/deliveries/access-key.{name}.age" if key.deliver_to else f"access-keys/{name}.json"
