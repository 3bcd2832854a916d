"""The TLS context of the HTTP service, out of the configuration."""

import ssl

from strongroom.config import Config, Home
from strongroom.core import ConfigError


def server_tls(config: Config, home: Home) -> ssl.SSLContext | None:
    """Return how callers are spoken to; None for plain HTTP. Raises ConfigError."""
    if not config.service.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(
            home.root / config.service.tls_certificate, home.root / config.service.tls_key
        )
        if config.service.tls_client_ca:
            context.load_verify_locations(home.root / config.service.tls_client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL  # who shows none has to sign
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"the TLS certificate or its key cannot be used: {error.strerror or error}",
            next_step="see service.tls_certificate, tls_key and tls_client_ca in strongroom.toml",
        ) from error
    return context
