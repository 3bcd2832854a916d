"""Whether a home has officers, and by which chain: what its configuration, its folder and its database say must agree."""

from strongroom.config import Config, Home
from strongroom.core import ConfigError
from strongroom.custody import Chain, CustodyError, document_hash
from strongroom.storage import Store
from strongroom.wiring.workers import read_genesis


def chain_of_home(home: Home, config: Config, store: Store) -> Chain | None:
    """Return the verified chain of a home; None where it has no officers. Raises ConfigError when anything does not fit."""
    genesis = read_genesis(home)
    documents = store.get_custody_documents()
    named = None if config.custody is None else config.custody.genesis_sha256
    if not genesis and not documents and named is None:
        return None
    for what, is_wrong in (
        (f"there is no {home.genesis_file}", not genesis),
        ("strongroom.toml has no [custody]", named is None),
        ("the database has no genesis", not documents),
        (
            f"{home.genesis_file} is not the genesis that strongroom.toml names",
            document_hash(genesis) != named,
        ),
        ("the database has another genesis", bool(documents) and documents[0].document != genesis),
    ):
        if is_wrong:
            raise ConfigError(
                f"the home has officers, and {what}",
                next_step="put the genesis back, or its hash: the officers have copies (docs/custody.md)",
            )
    try:
        return Chain.from_documents(genesis, [record.document for record in documents[1:]])
    except CustodyError as error:
        raise ConfigError(
            f"the chain of officers does not hold together: {error.message}", next_step=error.next_step
        ) from error
