"""One strict TOML file in the home directory, read into one frozen object; the only room that reads the environment.

    home = home_from_environment()
    config = load_config(home)

Unknown keys are refused, so a misspelled setting is an error and not a silent default. Secrets never stand
in the file: it names where each PIN comes from, and ``read_pin`` fetches it. Nothing here keeps state.
"""

from strongroom.config._audit_config import (
    AuditConfig,
    AuditWitnessConfig,
    FileSinkConfig,
    OtlpSinkConfig,
    SinkConfig,
    StdoutSinkConfig,
    SyslogSinkConfig,
    WebhookSinkConfig,
)
from strongroom.config._backup_config import BackupsConfig
from strongroom.config._client_environment import ClientEnvironment, client_environment
from strongroom.config._config import (
    CONFIG_FILE,
    CacheConfig,
    ClientConfig,
    ClusterConfig,
    Config,
    CustodyConfig,
    DeadlineConfig,
    LifecycleConfig,
    MemberConfig,
    ServiceConfig,
    check_config,
    load_config,
    render_config,
    toml_value,
)
from strongroom.config._custodian_config import CustodiansConfig
from strongroom.config._environment import (
    default_port,
    home_from_environment,
    port_override,
    runtime_base,
    softhsm_module,
    software_module_environment,
    worker_environment,
)
from strongroom.config._home import Home
from strongroom.config._oidc import OidcConfig, TokenCallerConfig
from strongroom.config._pin_config import PinsConfig, PinSource, SecretSource
from strongroom.config._pins import read_pin, read_sealing_key, read_token
from strongroom.config._policy import PolicyConfig, check_duties
from strongroom.config._quotas import QuotaConfig, QuotasConfig
from strongroom.config._witness_config import (
    WITNESS_CONFIG_FILE,
    WatchedLogConfig,
    WitnessConfig,
    load_witness_config,
)

__all__ = [
    "CONFIG_FILE",
    "WITNESS_CONFIG_FILE",
    "AuditConfig",
    "AuditWitnessConfig",
    "BackupsConfig",
    "CacheConfig",
    "ClientConfig",
    "ClientEnvironment",
    "ClusterConfig",
    "Config",
    "CustodiansConfig",
    "CustodyConfig",
    "DeadlineConfig",
    "FileSinkConfig",
    "Home",
    "LifecycleConfig",
    "MemberConfig",
    "OidcConfig",
    "OtlpSinkConfig",
    "PinSource",
    "PinsConfig",
    "PolicyConfig",
    "QuotaConfig",
    "QuotasConfig",
    "SecretSource",
    "ServiceConfig",
    "SinkConfig",
    "StdoutSinkConfig",
    "SyslogSinkConfig",
    "TokenCallerConfig",
    "WatchedLogConfig",
    "WebhookSinkConfig",
    "WitnessConfig",
    "check_config",
    "check_duties",
    "client_environment",
    "default_port",
    "home_from_environment",
    "load_config",
    "load_witness_config",
    "port_override",
    "read_pin",
    "read_sealing_key",
    "read_token",
    "render_config",
    "runtime_base",
    "softhsm_module",
    "software_module_environment",
    "toml_value",
    "worker_environment",
]
