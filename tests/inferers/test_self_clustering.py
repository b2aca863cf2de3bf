import threading

import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator

from medseg.errors import InputError
from medseg.inferers.self_clustering import SelfClusteringInferer
from medseg.networks.msformer import MSFormer


def network(**arguments) -> MSFormer:
    return MSFormer(num_clusters=8, embed_dim=8, patch_size=4, **arguments)


def pictures(count: int = 3) -> torch.Tensor:
    """A bright block on a dark slope, elsewhere in each picture."""
    torch.manual_seed(7)
    images = torch.linspace(0, 0.3, 18).expand(count, 3, 14, 18).clone()
    for index, image in enumerate(images):
        image[:, 2 + index : 8 + index, 3 : 9 + 2 * index] += 0.5
    return images + 0.02 * torch.randn_like(images)


@pytest.mark.parametrize("stack_size", [None, 2, 3])
def test_batch_gives_what_each_image_gives_alone(stack_size):
    images = pictures()
    together, reports = SelfClusteringInferer(max_steps=8, min_labels=2, stack_size=stack_size).fit(images, network())
    for index in range(3):
        alone, report = SelfClusteringInferer(max_steps=8, min_labels=2).fit(images[index : index + 1], network())
        torch.testing.assert_close(together[index], alone[0], atol=1e-3, rtol=1e-3)
        assert torch.equal(together[index].argmax(0), alone[0].argmax(0))
        assert reports[index].labels == report[0].labels
        assert reports[index].steps == report[0].steps


def test_each_image_stops_on_its_own_and_leaves_the_stack():
    images = pictures(4)
    images[1] = 0.5
    inferer = SelfClusteringInferer(max_steps=12, min_labels=6, stack_size=4)
    _, reports = inferer.fit(images, network())
    assert len({report.steps for report in reports}) > 1
    for report in reports:
        assert report.steps == len(report.labels) == len(report.losses) <= 12
        assert all(count > 6 for count in report.labels[:-1])
        assert report.steps == 12 or report.labels[-1] <= 6


def test_fitting_lowers_loss_and_seed_decides():
    images = pictures(1)
    inferer = SelfClusteringInferer(max_steps=15, min_labels=1)
    scores, [report] = inferer.fit(images, network())
    assert report.losses[-1] < 0.5 * report.losses[0]
    assert report.final_labels == scores.argmax(1).unique().numel()
    torch.manual_seed(123)
    assert torch.equal(scores, inferer(images, network()))
    other = SelfClusteringInferer(max_steps=15, min_labels=1, seed=1)(images, network())
    assert not torch.equal(scores, other)


def test_network_and_global_random_state_are_left_alone():
    net, images = network().eval(), pictures()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    threads = torch.get_num_threads()
    SelfClusteringInferer(max_steps=2)(images, net)
    assert not net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert threads == torch.get_num_threads()


def test_warm_start_begins_at_the_given_weights():
    images = pictures(1)
    torch.manual_seed(5)
    net = network()
    warm = SelfClusteringInferer(max_steps=1, warm_start=True).fit(images, net)[1][0].losses
    again = SelfClusteringInferer(max_steps=1, warm_start=True, seed=9).fit(images, net)[1][0].losses
    cold = SelfClusteringInferer(max_steps=1).fit(images, net)[1][0].losses
    assert warm == again != cold


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_callers_without_gradients(context):
    images = pictures(2)
    inferer = SelfClusteringInferer(max_steps=3)
    expected = inferer(images, network())
    with context():
        torch.testing.assert_close(inferer(images.clone(), network()), expected)


def test_unusable_images_are_reported_and_the_others_fitted(caplog):
    images = pictures(3)
    images[1, 0, 2, 3] = float("nan")
    scores, reports = SelfClusteringInferer(max_steps=3).fit(images, network())
    assert "NaN" in reports[1].problem
    assert "NaN" in caplog.text
    assert not scores[1].any()
    assert scores[0].any()
    assert scores[2].any()
    assert [report.steps for report in reports] == [3, 0, 3]


def test_sizes_that_cannot_be_fitted():
    images = torch.rand(2, 3, 1, 1)
    scores, reports = SelfClusteringInferer().fit(images, network())
    assert scores.shape == (2, 8, 1, 1)
    assert not scores.any()
    assert all("too few" in report.problem for report in reports)


@pytest.mark.parametrize("size", [(30, 40), (40, 30, 2)])
def test_images_that_need_too_much_memory_are_refused(size):
    inferer = SelfClusteringInferer(max_pixels=1000)
    with pytest.raises(InputError, match=r"0 x .0 pixels are more than max_pixels=1000: .* 0.0 GB of memory for each"):
        inferer(torch.rand(1, 3, *size), network())
    with pytest.raises(InputError, match=r"max_pixels=262144: .* 8.4 GB of memory"):
        SelfClusteringInferer()(torch.empty(1, 3, 1, 262145), network())


def test_labels_and_slices_of_a_volume():
    images = pictures(3)
    inferer = SelfClusteringInferer(max_steps=3, as_labels=True)
    labels = inferer(images, network())
    assert torch.equal(labels, SelfClusteringInferer(max_steps=3)(images, network()).argmax(1, True).float())
    volume = images.movedim(0, -1)[None]
    assert torch.equal(inferer(volume, network()), labels.movedim(0, -1)[None])
    nothing = inferer(torch.full((1, 3, 5, 6), float("nan")), network())
    assert nothing.shape == (1, 1, 5, 6)
    with pytest.raises(ValueError, match="needs"):
        inferer(images[0], network())


def test_amp_keeps_loss_and_finite_scores():
    images = pictures(1)
    full = SelfClusteringInferer(max_steps=4, min_labels=1).fit(images, network())[1][0]
    scores, [report] = SelfClusteringInferer(max_steps=4, min_labels=1, amp=True).fit(images, network())
    assert scores.dtype == torch.float32
    assert torch.isfinite(scores).all()
    assert report.losses == pytest.approx(full.losses, rel=0.1)


def test_in_an_evaluator_and_with_handlers():
    seen = []
    inferer = SelfClusteringInferer(
        max_steps=3,
        handlers=lambda engine: engine.add_event_handler(
            Events.ITERATION_COMPLETED, lambda e: seen.append(e.state.output["loss"])
        ),
    )
    dataset = Dataset([{"image": MetaTensor(image)} for image in pictures(2)])
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(dataset, batch_size=1),
        network=network(),
        inferer=inferer,
        decollate=False,
    )
    evaluator.run()
    assert evaluator.state.output["pred"].shape == (1, 8, 14, 18)
    assert len(seen) == 6


def test_two_threads_at_once():
    images = pictures(2)
    inferer = SelfClusteringInferer(max_steps=4)
    expected = [inferer(images[i : i + 1], network()) for i in range(2)]
    results: dict[int, torch.Tensor] = {}
    networks = [
        network(),
        network(),
    ]  # not in the threads: this draws from PyTorch's one generator, as the seeding does
    workers = [
        threading.Thread(target=lambda i=i: results.setdefault(i, inferer(images[i : i + 1], networks[i])), args=())
        for i in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for i in range(2):
        torch.testing.assert_close(results[i], expected[i], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("arguments", [{"max_steps": 0}, {"stack_size": 0}, {"learning_rate": 0.0}, {"momentum": 1.0}])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="must be"):
        SelfClusteringInferer(**arguments)


def test_needs_a_network_with_features():
    with pytest.raises(TypeError, match="forward_features"):
        SelfClusteringInferer()(pictures(1), torch.nn.Conv2d(3, 3, 1))
