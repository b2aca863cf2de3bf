import logging
from collections.abc import Iterable, Mapping
from os import PathLike

from torch import Tensor, nn

from medseg.errors import InputError
from medseg.networks.checkpoints.convert import convert_state_dict
from medseg.networks.checkpoints.hub import find_weights
from medseg.networks.checkpoints.read import read_state_dict

logger = logging.getLogger("medseg")


def load_weights(network: nn.Module, weights: str | PathLike[str] | Mapping[str, Tensor]) -> None:
    """Load weights of the whole network, ours or published, strictly: no key may be missing or left over.

    Args:
        network: changed in place, only if everything fits.
        weights: a file or a state dict.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file cannot be read or does not fit; the message names the keys.
    """
    state_dict, source = _converted(weights)
    check_fit(network, state_dict, source)
    network.load_state_dict(state_dict)


def load_pretrained(
    network: nn.Module, weights: str | PathLike[str] | Mapping[str, Tensor], encoder: str | None = None
) -> None:
    """Start a network from weights of the whole network, or from those of its `encoder`, strictly.

    The decoder stays as it is where the weights have none, or one for other classes or of another kind, which is logged
    as a warning.

    Args:
        network: a network with the attributes `encoder` and `decoder`; changed in place, only if everything fits.
        weights: a state dict, or what `find_weights` takes: a file, a name, `imagenet`.
        encoder: name of the network's encoder, whose weights `imagenet` stands for.

    Raises:
        FileNotFoundError: if there is no such file, or it cannot be downloaded.
        InputError: as `load_weights`, or if no ImageNet weights of the encoder can be had.
    """
    state_dict, source = _converted(weights if isinstance(weights, Mapping) else find_weights(weights, encoder))
    own = {key: tensor for key, tensor in network.state_dict().items() if key.startswith("decoder.")}
    given = {key: tensor for key, tensor in state_dict.items() if key.startswith("decoder.")}
    left = compare(own, given) if len(given) < len(state_dict) else []
    if left:
        state_dict = {key: tensor for key, tensor in state_dict.items() if key not in given} | own
    if left and given:
        logger.warning("Of %s the encoder is taken, the decoder starts at random: %s.", source, "; ".join(left))
    check_fit(network, state_dict, source)
    network.load_state_dict(state_dict)


def check_fit(network: nn.Module, state_dict: Mapping[str, Tensor], source: str = "the weights") -> None:
    """Raise an `InputError` if keys, under our names, are missing or left over or a shape differs; it names them.

    `source` is what the message calls the weights. Nothing is loaded.
    """
    if problems := compare(network.state_dict(), state_dict):
        raise InputError(
            f"{source} do not fit this {type(network).__name__}, check its encoder, decoder and decoder_channels: "
            f"{'; '.join(problems)}."
        )


def compare(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """The reasons why `given` cannot be loaded where `wanted` is, in a few words each; empty if there are none."""
    shared = [(key, tensor, given[key]) for key, tensor in wanted.items() if key in given]
    shapes = (f"{key} {list(b.shape)} instead of {list(a.shape)}" for key, a, b in shared if a.shape != b.shape)
    types = (
        f"{key} {b.dtype} instead of {a.dtype}".replace("torch.", "")
        for key, a, b in shared
        if a.is_floating_point() and not b.is_floating_point()
    )
    return [
        *_listed("missing", wanted.keys() - given.keys()),
        *_listed("left over", given.keys() - wanted.keys()),
        *_listed("of another shape", shapes),
        *_listed("of another type", types),
    ]


def _converted(weights: str | PathLike[str] | Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The tensors under our names, and what to call them in a message."""
    if isinstance(weights, Mapping):
        return convert_state_dict(weights).state_dict, "the weights"
    return convert_state_dict(read_state_dict(weights)).state_dict, f"the weights in '{weights}'"


def _listed(what: str, keys: Iterable[str], most: int = 4) -> list[str]:
    names = sorted(keys)
    if not names:
        return []
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return [f"{len(names)} {what} ({', '.join(names[:most])}{more})"]
