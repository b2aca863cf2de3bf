"""What a weight file says of the network it is of, for the configs that use it."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.errors import InputError
from medseg.networks.checkpoints.read import read_facts

logger = logging.getLogger("medseg")


class ModelFacts:
    """The values that a network was trained with, as attributes: from its weight file, else from the config.

    Files of other programs say nothing: then the defaults count, and whoever trained with other values gives them.

    Args:
        checkpoint: weight file of the network; it may be absent, as in a bundle that is trained later.
        defaults: value by name where the file does not say it.
        absent: values that replace `defaults` where there is no file: those of the weights that a bundle ships with,
            so that a network exported without them still gets images of its size.

    Raises:
        InputError: if the file cannot be read.
    """

    def __init__(
        self, checkpoint: str | os.PathLike[str], defaults: Mapping[str, Any], absent: Mapping[str, Any] | None = None
    ) -> None:
        found = Path(checkpoint).is_file()
        self.checkpoint = checkpoint
        said = read_facts(checkpoint).get("trained_with", {}) if found else {}
        self.said = {name: value for name, value in said.items() if name in defaults}
        self.values = {**defaults, **({} if found else absent or {}), **self.said}
        if found and not self.said:
            logger.info("'%s' does not say how its network was trained: the config and your options count.", checkpoint)

    def __getattr__(self, name: str) -> Any:
        """The value called `name`."""
        if name in vars(self).get("values", {}):
            return self.values[name]
        raise AttributeError(f"{type(self).__name__} has no '{name}'.")

    def check(self, given: Mapping[str, Any]) -> None:
        """Compare values that somebody may have set by hand with what the file says.

        Args:
            given: value by name; None, and names that the file does not say, are let pass.

        Raises:
            InputError: if one differs.
        """
        for name, value in given.items():
            said = self.said.get(name)
            if value is not None and said is not None and value != said:
                raise InputError(
                    f"'{self.checkpoint}' was trained with {name} {said}, not {value}: leave {name} out, it is read "
                    "from the file, or choose other weights."
                )
