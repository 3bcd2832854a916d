"""The home behind a command: complete where it is needed, and for development where nothing else will do."""

from strongroom import client
from strongroom.cli._errors import NotDevelopmentError
from strongroom.config import Config, Home, home_from_environment, load_config
from strongroom.wiring.home import require_complete


def complete_home() -> Home:
    """Return the home that the environment names. Raises HomeError when it is not complete."""
    home = Home(home_from_environment())
    require_complete(home)
    return home


def find_service(home: Home) -> client.Service:
    """Return the service that the environment (AWS_ENDPOINT_URL and its kin) names, else that of the home.

    Raises HomeError and ConfigError when the home is needed and not complete.
    """
    if client.needs_home():
        require_complete(home)
    return client.find_service(home)


def home_service(home: Home) -> client.Service:
    """Return the service of a development home, whatever the environment says. Raises as ``find_service``."""
    require_complete(home)
    return client.home_service(home)


def require_development(home: Home) -> Config:
    """Return the configuration of a home whose members are all SoftHSM. Raises NotDevelopmentError."""
    require_complete(home)
    config = load_config(home.root)
    others = [member.name for member in config.cluster.members if member.profile != "softhsm2"]
    if others or not home.development_access_key.exists():
        what = (
            f"its members {', '.join(others)} are real HSMs" if others else "it has no development access key"
        )
        raise NotDevelopmentError(
            f"{home.root} is not a development home: {what}",
            next_step="make one: STRONGROOM_HOME=/path/to/new strongroom init --development",
        )
    return config
