import copy
import logging
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from ignite.engine import Engine, Events
from monai.data.meta_tensor import MetaTensor
from monai.inferers import Inferer
from monai.utils import convert_to_dst_type
from torch import Tensor, nn

from medseg.errors import InputError
from medseg.inferers.network_stack import NetworkStack
from medseg.losses.msformer import MSFormerLoss

logger = logging.getLogger("medseg")

_BYTES_PER_PIXEL = 32_000  # of a fit

_SEEDING = threading.Lock()  # PyTorch's random state is one for all threads


@dataclass
class ClusteringReport:
    """How one image was fitted."""

    steps: int = 0  # of the optimizer
    losses: list[float] = field(default_factory=list)  # weighted total loss before each step
    labels: list[int] = field(default_factory=list)  # number of labels before each step
    final_labels: int = 1  # number of labels in the scores that were returned
    problem: str = ""  # why the image was not fitted, with scores that are zero everywhere; empty when it was


@dataclass(eq=False)
class SelfClusteringInferer(Inferer):
    """Fit one network per image with self-supervised losses and return the scores of the fitted network.

    This is how MS-Former (Karimijafarbigloo et al., MIDL 2023) segments: at most `max_steps` steps of SGD on the image
    itself, stopped when no more than `min_labels` labels are left, then one more forward pass in training mode. All
    networks start from the same weights, so the labels of an image depend on the image and the seed alone, not on its
    batch (up to rounding). An image that cannot be fitted (not finite, too small) gets zero scores and a warning. On a
    GPU the images of a batch are fitted together, see `NetworkStack`; each has its own loss and its own stop. On a CPU
    they are fitted one by one, several side by side in threads.

    A call leaves no state behind and may come from several threads, also under `torch.no_grad`. Other threads must not
    draw from PyTorch's global generator meanwhile (by building a network, for example): the initial weights come from
    it.

    Args:
        max_steps: greatest number of steps.
        min_labels: an image stops when its map has this many labels or fewer.
        learning_rate: of SGD.
        momentum: of SGD.
        loss: gives losses per image from `network.forward_features`; default `MSFormerLoss()`.
        seed: of the initial weights.
        warm_start: start from the weights of the network that is passed in, instead of drawing new ones.
        stack_size: images that are fitted as one; `None` for all of the batch on a GPU and one on a CPU.
        as_labels: return the label of each pixel's best score, as float, instead of all scores.
        amp: run the network in bfloat16 where PyTorch's autocast permits it.
        max_pixels: images with more are refused; a fit takes about 32 kB of memory per pixel, 8.4 GB for 512 x 512.
        handlers: called with every new Ignite engine before it runs, to attach handlers to it.

    Raises:
        ValueError: if an argument is out of its range.
        InputError: (in a call) if the images are larger than `max_pixels`.
    """

    max_steps: int = 50
    min_labels: int = 3
    learning_rate: float = 0.1
    momentum: float = 0.9
    loss: MSFormerLoss = field(default_factory=MSFormerLoss)
    seed: int = 0
    warm_start: bool = False
    stack_size: int | None = None
    as_labels: bool = False
    amp: bool = False
    max_pixels: int = 512 * 512
    handlers: Callable[[Engine], None] | None = None

    def __post_init__(self) -> None:
        if self.max_steps < 1 or self.min_labels < 1 or (self.stack_size is not None and self.stack_size < 1):
            raise ValueError("max_steps, min_labels and stack_size must be at least 1.")
        if self.learning_rate <= 0 or not 0 <= self.momentum < 1:
            values = f"{self.learning_rate} and {self.momentum}"
            raise ValueError(f"learning_rate must be positive and momentum in [0, 1), got {values}.")

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        """Cluster scores `[B, num_clusters, H, W]`, or labels `[B, 1, H, W]`, of images `[B, C, H, W]` of about 0 to 1.

        Of volumes `[B, C, H, W, D]` every slice along the last axis is an image; the result has a last axis `D` too.
        `network` has a method `forward_features` like that of `MSFormer` and is not changed. The rest is ignored.
        """
        return self.fit(inputs, network)[0]

    def fit(self, inputs: Tensor, network: Callable[..., Any]) -> tuple[Tensor, list[ClusteringReport]]:
        """Do what a call does, and also return one report per image."""
        if inputs.ndim not in (4, 5):
            raise ValueError(f"SelfClusteringInferer needs [B, C, H, W] or [B, C, H, W, D], got {tuple(inputs.shape)}.")
        height, width = inputs.shape[2:4]
        if height * width > self.max_pixels:
            raise InputError(
                f"{height} x {width} pixels are more than max_pixels={self.max_pixels}: choose a smaller image_size, "
                f"or a larger max_pixels if there are {height * width * _BYTES_PER_PIXEL / 1e9:.1f} GB of memory for "
                "each image that is fitted at the same time."
            )
        with torch.inference_mode(False), torch.enable_grad():
            images = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
            images = images.detach().clone().float()
            if inputs.ndim == 5:
                images = images.movedim(-1, 1).flatten(0, 1)
            template = self._template(network, images.device)
            reports = [ClusteringReport(problem=self._problem(image)) for image in images]
            fitted = self._fit_all(template, images, reports)
        # when no image could be fitted the network itself says how many scores there are
        channels = next(iter(fitted.values())).shape[0] if fitted else cast(int, template.num_clusters)
        empty = images.new_zeros(channels, *images.shape[2:])[: 1 if self.as_labels else channels]
        out = torch.stack([fitted.get(index, empty) for index in range(len(images))])
        if inputs.ndim == 5:
            out = out.unflatten(0, (inputs.shape[0], inputs.shape[-1])).movedim(1, -1)
        for index, report in enumerate(reports):
            if report.problem:
                logger.warning("Image %d of the batch is not clustered: %s", index, report.problem)
            else:
                values = (index, report.steps, report.final_labels, report.losses[-1])
                logger.debug("Image %d: %d steps, %d labels, loss %.4f", *values)
        # a MetaTensor comes back as one: what saves the result finds the image's name there
        return convert_to_dst_type(out, inputs, dtype=out.dtype)[0], reports

    def _fit_all(self, template: nn.Module, images: Tensor, reports: Sequence[ClusteringReport]) -> dict[int, Tensor]:
        """Fit the images without a problem; returns scores or labels by index in the batch."""
        good = [index for index, report in enumerate(reports) if not report.problem]
        on_cpu = images.device.type == "cpu"
        size = self.stack_size or (1 if on_cpu else max(1, len(good)))
        stacks = [good[start : start + size] for start in range(0, len(good), size)]

        def fit(indices: list[int]) -> dict[int, Tensor]:
            with torch.inference_mode(False), torch.enable_grad():  # both belong to the thread
                fitted = self._fit_stack(template, images[indices], [reports[index] for index in indices])
            return dict(zip(indices, fitted, strict=True))

        threads = torch.get_num_threads()
        workers = min(threads, len(stacks)) if on_cpu else 1
        if workers <= 1:
            results = [fit(stack) for stack in stacks]
        else:
            # images do not wait for each other, the threads of one matrix product do
            with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
                results = list(pool.map(fit, stacks))
            torch.set_num_threads(threads)  # part of the setting is global
        return {index: scores for fitted in results for index, scores in fitted.items()}

    def _template(self, network: Callable[..., Any], device: torch.device) -> nn.Module:
        """A copy of the network in training mode, with weights drawn from the seed unless it starts warm."""
        if not isinstance(network, nn.Module) or not hasattr(network, "forward_features"):
            raise TypeError(
                f"SelfClusteringInferer needs a network with forward_features, got {type(network).__name__}."
            )
        # drawn on the CPU: the same weights on every device
        template = copy.deepcopy(network).cpu().train().requires_grad_()
        if not self.warm_start:
            with _SEEDING, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.manual_seed(self.seed)
                for module in template.modules():
                    if hasattr(module, "reset_parameters"):
                        module.reset_parameters()  # type: ignore[operator]
        # every forward pass takes the statistics of its own image, and `vmap` cannot update running ones
        return torch.func.replace_all_batch_norm_modules_(template.to(device))

    def _problem(self, image: Tensor) -> str:
        """Why an image cannot be fitted; empty if it can."""
        height, width = image.shape[-2:]
        if not torch.isfinite(image).all():
            return "it contains NaN or infinite values; replace them before."
        if max(height, width) < 3:
            return f"{height} x {width} pixels are too few for batch norm; resize it to at least 3 x 1."
        return ""

    def _fit_stack(self, template: nn.Module, images: Tensor, reports: Sequence[ClusteringReport]) -> list[Tensor]:
        """Fit a network to each image; returns scores or labels `[., H, W]` of each."""
        stack = NetworkStack(template, images, self.loss, self.learning_rate, self.momentum)
        results: list[Tensor] = [images.new_empty(0)] * len(images)
        active = list(range(len(images)))
        autocast = torch.autocast(images.device.type, torch.bfloat16, enabled=self.amp)

        def step(engine: Engine, batch: Any) -> dict[str, list[float]]:
            with autocast:
                losses, labels = stack.step()
            for index, loss, count in zip(active, losses, labels, strict=True):
                reports[index].steps += 1
                reports[index].losses.append(loss)
                reports[index].labels.append(count)
            return {"loss": losses, "labels": [float(count) for count in labels]}

        def release(engine: Engine) -> None:
            """Take the images that have stopped out of the stack."""
            least = self.min_labels if engine.state.iteration < self.max_steps else math.inf
            stopped = [position for position, index in enumerate(active) if reports[index].labels[-1] <= least]
            if not stopped:
                return
            with autocast:
                maps = stack.scores(stopped)
            for position, scores in zip(stopped, maps, strict=True):
                labels = scores.argmax(0, keepdim=True)
                results[active[position]] = labels.float() if self.as_labels else scores.float()
                reports[active[position]].final_labels = int(labels.unique().numel())
            going_on = [position for position in range(len(active)) if position not in stopped]
            active[:] = [active[position] for position in going_on]
            if active:
                stack.keep(going_on)
            else:
                engine.terminate()

        engine = Engine(step)
        engine.logger.setLevel(logging.WARNING)
        engine.add_event_handler(Events.ITERATION_COMPLETED, release)
        if self.handlers is not None:
            self.handlers(engine)
        engine.run(max_epochs=1, epoch_length=self.max_steps)
        return results
