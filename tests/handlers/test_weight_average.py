"""The average of the weights against its definition, on trainers of MONAI."""

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from torch import nn

from medseg.handlers import GradientClipper, WeightAverage, copy_for_average


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))


def train(net: nn.Module, steps: int, handlers: list, rate: float = 0.1) -> None:
    data = [{"image": torch.randn(2, 1, 8, 8), "label": torch.randn(2, 1, 8, 8)} for _ in range(steps)]
    SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=data,
        network=net,
        optimizer=torch.optim.SGD(net.parameters(), rate),
        loss_function=nn.MSELoss(),
        train_handlers=handlers,
    ).run()


class Recorder:
    """The network's weights and running statistics after each step."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.states: list[dict[str, torch.Tensor]] = []

    def attach(self, engine: SupervisedTrainer) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        self.states.append({key: tensor.clone() for key, tensor in self.net.state_dict().items()})


def test_average_is_the_recursion_written_out() -> None:
    net = network()
    expected = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    average, recorder = copy_for_average(net), Recorder(net)
    train(net, 60, [recorder, WeightAverage(net, average, decay=0.8)])
    for n, state in enumerate(recorder.states, start=1):
        d = min(0.8, n / (n + 9))
        for key, tensor in state.items():
            expected[key] = d * expected[key] + (1 - d) * tensor if tensor.is_floating_point() else tensor
    for key, tensor in average.state_dict().items():
        torch.testing.assert_close(tensor, expected[key])


def test_weights_before_the_first_step_are_forgotten() -> None:
    net = network()
    average = copy_for_average(net)
    with torch.no_grad():
        average[0].weight.fill_(1e3)
    train(net, 40, [WeightAverage(net, average, decay=0.998)], rate=0.0)
    torch.testing.assert_close(average[0].weight, net[0].weight, atol=1e-3, rtol=0)


def test_decay_must_be_a_weight() -> None:
    with pytest.raises(ValueError, match="momentum"):
        WeightAverage(network(), network(), decay=1.0)


def test_gradients_are_clipped_before_the_step() -> None:
    net = network()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    train(net, 1, [GradientClipper(net, max_norm=1e-3)], rate=1.0)
    step = torch.cat([(a - b).flatten() for a, b in zip(net.parameters(), before, strict=True)]).norm()
    assert float(step.detach()) == pytest.approx(1e-3, rel=1e-2)
    with pytest.raises(ValueError, match="must be positive"):
        GradientClipper(net, max_norm=0)
