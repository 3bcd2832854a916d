"""The calls of transport keys, from the wire to ``Token.transport`` and back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from strongroom.core import HsmRequestError, RootId, Secret
from strongroom.hsm.token import KeyCheckValue, TransportName, TransportVerbs
from strongroom.hsm.wire import (
    BackupPair,
    DestroyTransportKey,
    EndTransportOffer,
    MakeBackupPair,
    MakeTransportKeys,
    OfferBackup,
    OfferTransport,
    TakeInKey,
    TakeInRoot,
    TakeTransportKeys,
    TransportOffer,
    WrapOut,
)
from strongroom.hsm.wire import TransportName as WireName

_ROOT_ID_BYTES = 16


def transport_calls(transport: TransportVerbs) -> Mapping[type, Callable[[Any], object]]:
    """Tell how each call is done. All are admin calls: they make keys, or move them."""

    def offer(call: OfferTransport) -> TransportOffer:
        made = transport.offer(call.pair_id)
        return TransportOffer(made.spki_der, list(made.mechanisms))

    def make_backup_pair(call: MakeBackupPair) -> BackupPair:
        share_key = Secret(call.share_key)
        try:
            made = transport.make_backup_pair(share_key)
        finally:
            share_key.zeroize()
        return BackupPair(made.spki_der, made.wrapped_private, made.mechanism)

    def offer_backup(call: OfferBackup) -> TransportOffer:
        share_key = Secret(call.share_key)
        try:
            made = transport.offer_backup(
                call.pair_id, share_key, call.wrapped_private, mechanism=call.mechanism
            )
        finally:
            share_key.zeroize()
        return TransportOffer(made.spki_der, list(made.mechanisms))

    def make_keys(call: MakeTransportKeys) -> list[list[bytes]]:
        return transport.make_keys(
            _names(call.names), call.label, mechanism=call.mechanism, targets=call.targets
        )

    def take_keys(call: TakeTransportKeys) -> None:
        transport.take_keys(
            call.pair_id, _names(call.names), call.label, mechanism=call.mechanism, wrapped=call.wrapped
        )

    def take_in_root(call: TakeInRoot) -> None:
        if len(call.root_id) != _ROOT_ID_BYTES:
            raise HsmRequestError(f"a root id has {_ROOT_ID_BYTES} bytes, not {len(call.root_id)}")
        transport.take_in_root(
            RootId(call.root_id),
            call.label,
            transport_id=call.transport_id,
            wrapped=call.wrapped,
            expected=KeyCheckValue(call.check_kind, call.check_value),
        )

    def take_in_key(call: TakeInKey) -> None:
        transport.take_in_key(
            call.key,
            call.label,
            transport_id=call.transport_id,
            wrapped=call.wrapped,
            spki_der=call.spki_der,
        )

    return {
        OfferTransport: offer,
        DestroyTransportKey: lambda call: transport.destroy_key(call.transport_id),
        EndTransportOffer: lambda call: transport.end_offer(call.pair_id),
        MakeTransportKeys: make_keys,
        TakeTransportKeys: take_keys,
        WrapOut: lambda call: transport.wrap_out(call.cka_id, call.kind, transport_id=call.transport_id),
        TakeInRoot: take_in_root,
        TakeInKey: take_in_key,
        MakeBackupPair: make_backup_pair,
        OfferBackup: offer_backup,
    }


def _names(names: Sequence[WireName]) -> list[TransportName]:
    return [TransportName(name.cka_id, name.kind) for name in names]
