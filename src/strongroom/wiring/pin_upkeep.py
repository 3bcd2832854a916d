"""What a person does to the PINs of a home whose service is stopped: seal them, and allow tries again after a look at the token."""

from collections.abc import Sequence
from typing import Final

import msgspec

from strongroom.config import (
    Config,
    Home,
    MemberConfig,
    PinsConfig,
    PinSource,
    SecretSource,
    load_config,
    render_config,
)
from strongroom.core import Clock, ConfigError, HomeError, Secret
from strongroom.wiring.durable_files import overwrite_and_remove, write_durably
from strongroom.wiring.pin_changes import (
    PinRole,
    PinTries,
    in_words,
    read_change,
    record_name,
    write_change,
)
from strongroom.wiring.pin_sealing import (
    LONGEST_PIN_BYTES,
    PinBinding,
    SealingKey,
    make_sealing_key,
    read_pin,
    read_sealed_pin,
    sealing_key,
    write_sealed_pin,
)

_KEY_FILE: Final = "pins/sealing-key"


def seal_pins(home: Home, *, member: str | None, pin: Secret | None, clock: Clock) -> list[str]:
    """Seal PINs that lie in clear, or another PIN of one member, and write the configuration anew; returns whose.

    Where the configuration names no sealing key, one is made in ``pins/sealing-key``. The files in clear are overwritten
    and removed once the configuration names the sealed ones. Call with the home locked. Raises ConfigError and HomeError.
    """
    config = load_config(home.root)
    chosen = _chosen(config, member, pin)
    try:
        key, pins = _key(home, config.pins)
        sealed = [_seal(home, config, one, key, given=pin, clock=clock) for one in chosen]
        members = [
            next((new for new in sealed if new.name == old.name), old) for old in config.cluster.members
        ]
        cluster = msgspec.structs.replace(config.cluster, members=members)
        changed = msgspec.structs.replace(config, cluster=cluster, pins=pins)
        if changed != config:
            mode = home.config_file.stat().st_mode & 0o777
            write_durably(home.config_file, render_config(changed).encode(), mode=mode)
        for before in chosen:
            _remove_clear(home, before.pin)
        for one in changed.cluster.members:
            _remove_left(home, one, key)
    except OSError as error:
        raise HomeError(f"cannot write {error.filename or home.root}: {error.strerror}") from error
    return [one.name for one in sealed]


def allow_tries(home: Home, member: MemberConfig, role: PinRole = "user") -> bool:
    """Forget what was counted of tries in a change that is under way; returns whether there is one.

    Of a security officer's PIN also what was counted in the last change, from which the next one would go on counting.
    For a person who has seen that the token's counter of wrong PINs stands at zero. Raises ConfigError and HomeError.
    """
    path = home.pin_changes / record_name(member.name, role)
    change = read_change(path)
    if change is None or (change.has_ended and role == "user"):
        return False
    fresh = PinTries()
    trouble = change.trouble if change.has_ended else ""
    try:
        write_change(path, msgspec.structs.replace(change, old=fresh, new=fresh, refusals=0, trouble=trouble))
    except OSError as error:
        raise HomeError(f"cannot write {path}: {error.strerror}") from error
    return True


def _chosen(config: Config, name: str | None, pin: Secret | None) -> Sequence[MemberConfig]:
    members = config.cluster.members
    if name is None:
        if pin is not None:
            raise ConfigError("a PIN is of one member", next_step="name it: --member NAME")
        return [member for member in members if member.pin.sealed is None]
    chosen = [member for member in members if member.name == name]
    if not chosen:
        known = ", ".join(member.name for member in members)
        raise ConfigError(f"there is no member {name!r}", next_step=f"the members are: {known}")
    return chosen


def _key(home: Home, pins: PinsConfig) -> tuple[SealingKey, PinsConfig]:
    if pins.sealing_key is not None:
        return sealing_key(pins, home), pins
    named = msgspec.structs.replace(pins, sealing_key=SecretSource(file=_KEY_FILE))
    if (home.root / _KEY_FILE).exists():  # an earlier run was interrupted before it wrote the configuration
        return sealing_key(named, home), named
    return make_sealing_key(home.root / _KEY_FILE), named


def _seal(
    home: Home, config: Config, member: MemberConfig, key: SealingKey, *, given: Secret | None, clock: Clock
) -> MemberConfig:
    """Seal a member's PIN, and end a change that was under way: this PIN is the one now."""
    pin = given or read_pin(member, home, config.pins)
    path = member.pin.sealed or f"pins/{member.name}.sealed"
    try:
        line = key.seal(pin, PinBinding.of(member), at=clock.now())
    except ValueError as error:
        raise ConfigError(str(error)) from None
    change_path = home.pin_changes / record_name(member.name, "user")
    change = read_change(change_path)
    write_sealed_pin(home.root / path, line)
    if change is not None and not change.has_ended:
        ended = msgspec.structs.replace(
            change,
            phase="failed",
            sealed="",
            trouble=in_words("another PIN was sealed by hand"),
            ended_at=clock.now(),
        )
        write_change(change_path, ended)
    elif change is not None and change.replaced:
        # Whoever seals a PIN by hand says that it is the token's: then it is not one that must not be sent.
        write_change(change_path, msgspec.structs.replace(change, replaced=""))
    return msgspec.structs.replace(member, pin=PinSource(sealed=path))


def _remove_left(home: Home, member: MemberConfig, key: SealingKey) -> None:
    """Remove the file in clear of a sealed PIN, if an earlier run was cut off before it did: where ``init`` puts it."""
    clear = home.pins / member.name
    if member.pin.sealed is None or not clear.is_file() or clear == home.root / member.pin.sealed:
        return
    try:
        pin = key.open(read_sealed_pin(home.root / member.pin.sealed), PinBinding.of(member))
    except ConfigError:
        return
    with clear.open("rb") as file:
        same = file.read(LONGEST_PIN_BYTES + 2).removesuffix(b"\n") == pin.reveal()
    pin.zeroize()
    if same:
        overwrite_and_remove(clear)


def _remove_clear(home: Home, source: PinSource) -> None:
    if source.file is not None:
        overwrite_and_remove(home.root / source.file)
