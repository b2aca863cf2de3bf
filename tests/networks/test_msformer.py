import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.func import functional_call

from medseg.data import decode_picture
from medseg.losses.msformer import NOTEBOOK_PREVIEW_WEIGHTS, NOTEBOOK_SCORED_WEIGHTS, MSFormerLoss
from medseg.networks.msformer import MSFormer

sys.path.insert(0, str(Path(__file__).parent))
from msformer_published import from_published, published_value

SMALL = {"num_clusters": 6, "embed_dim": 8, "patch_size": 4}


@pytest.fixture(scope="module")
def parity():
    folder = os.environ.get("MEDSEG_PARITY_DIR")
    if not folder:
        pytest.skip("MEDSEG_PARITY_DIR is not set: no reference outputs to compare with")
    path = Path(folder)
    return json.loads((path / "msformer.json").read_text()), np.load(path / "msformer.npz")


def filled(reference) -> MSFormer:
    net = MSFormer()
    state = {key: published_value(key, shape) for key, shape in reference["state_dict"]}
    net.load_state_dict(from_published(state, net.state_dict()))
    return net


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_matches_published_outputs_and_losses(parity, mode):
    reference, arrays = parity
    net = filled(reference).train(mode == "train")
    image = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 257, 257)).astype(np.float32))
    with torch.no_grad():
        features = net.forward_features(image)
    pairs = {
        "out_sub8": features.scores[..., ::8, ::8],
        "attention_probs": features.patch_attention,
        "context_s": features.contexts[0],
        "context_l": features.contexts[1],
    }
    for name, ours in pairs.items():
        np.testing.assert_allclose(ours.numpy(), arrays[f"{mode}_{name}"], atol=1e-4, rtol=0, err_msg=name)
    flipped = (features.scores.argmax(1).numpy() != arrays[f"{mode}_argmax"]).sum()
    assert flipped <= reference[mode]["argmax_gap_below_1e_4_pixels"]

    loss = MSFormerLoss(*NOTEBOOK_PREVIEW_WEIGHTS, reduction="none")
    parts = loss.parts(features)
    expected = reference[mode]["losses_on_sample_0"]
    assert parts.cross_entropy[0].item() == pytest.approx(expected["ce"], abs=1e-4)
    assert 2.0 * parts.inter[0].item() == pytest.approx(expected["inter_x2"], abs=1e-4)
    assert 1.2 * parts.intra[0].item() == pytest.approx(expected["intra_x1_2"], abs=1e-4)
    assert loss(features)[0].item() == pytest.approx(expected["total"], abs=1e-4)


@pytest.mark.slow
def test_matches_published_training_steps(parity):
    reference, _ = parity
    net = filled(reference).train()
    image = torch.from_numpy(np.random.default_rng(11).random((1, 3, 257, 257)).astype(np.float32))
    loss = MSFormerLoss(*NOTEBOOK_PREVIEW_WEIGHTS)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for step in reference["train_steps"]["steps"]:
        optimizer.zero_grad()
        value = loss(net.forward_features(image))
        value.backward()
        norm = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in net.parameters() if p.grad is not None]))
        assert value.item() == pytest.approx(step["total"], rel=1e-3)
        assert norm.item() == pytest.approx(step["grad_l2"], rel=1e-2)
        optimizer.step()


@pytest.mark.parametrize(
    ("channels", "size", "patches"),
    [(3, (17, 13), 4 * 3), (1, (16, 9), 3 * 2), (5, (3, 1), 1), (3, (4, 21), 5), (2, (5, 5), 1)],
)
def test_any_size_and_channels(channels, size, patches):
    net = MSFormer(in_channels=channels, **SMALL)
    image = torch.rand(2, channels, *size)
    features = net.forward_features(image)
    assert features.scores.shape == (2, 6, *size)
    assert features.patch_attention.shape == (2, patches, patches)
    torch.testing.assert_close(features.patch_attention.sum(-1), torch.ones(2, patches))
    assert [tuple(context.shape) for context in features.contexts] == [(2, 8, 8)] * 2
    assert torch.isfinite(features.scores).all()


def test_forward_is_the_scores_of_forward_features():
    net = MSFormer(**SMALL).eval()
    image = torch.rand(1, 3, 11, 14)
    assert torch.equal(net(image), net.forward_features(image).scores)


@pytest.mark.parametrize("seed", [0, 2])
def test_a_seed_draws_the_published_initial_weights(parity, seed):
    data = os.environ.get("MEDSEG_DATA_DIR")
    if not data:
        pytest.skip("MEDSEG_DATA_DIR is not set: no image to start from")
    baseline = json.loads((Path(os.environ["MEDSEG_PARITY_DIR"]) / "msformer_baseline.json").read_text())
    run = next(r for r in baseline["runs"] if (r["seed"], r["image"]) == (seed, "img_IMD176"))
    picture = decode_picture(Path(data) / "skin" / "ph2_257_3" / "images" / "img_IMD176.bmp")
    image = torch.from_numpy(picture[..., ::-1] / np.float32(255)).permute(2, 0, 1)[None]  # blue first, as published
    torch.manual_seed(seed)
    with torch.no_grad():
        features = MSFormer().forward_features(image)
    labels, total, entropy, *_ = run["log"][0]
    assert MSFormerLoss.parts(features).cross_entropy.item() == pytest.approx(entropy, abs=1e-4)
    assert MSFormerLoss()(features).item() == pytest.approx(total, abs=1e-4)
    assert features.scores.argmax(1).unique().numel() == labels


def test_initial_weights_have_the_published_range():
    """PyTorch draws a linear layer from plus and minus one over the root of its inputs; the head has two branches."""
    torch.manual_seed(0)
    net = MSFormer()
    for layer, inputs in ((net.head, 200), (net.upsample, 100), (net.embed_fine.proj, 27)):
        assert layer.weight.abs().max().item() == pytest.approx(inputs**-0.5, rel=0.02)


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    net = MSFormer(**SMALL)
    MSFormerLoss()(net.forward_features(torch.rand(1, 3, 14, 11))).backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # softmax over positions does not see a constant added to the keys of all positions
    assert [name for name in without if not name.endswith("attn.keys.bias")] == []


@pytest.mark.parametrize("training", [True, False])
def test_an_ensemble_is_one_network_per_image(training):
    nets = []
    for seed in range(3):
        torch.manual_seed(seed)
        nets.append(MSFormer(**SMALL).train(training))
        if training:
            torch.func.replace_all_batch_norm_modules_(nets[-1])
    images = torch.rand(3, 3, 13, 18)
    parameters, buffers = torch.func.stack_module_state(nets)

    class Losses(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nets[0]

        def forward(self, image):
            return MSFormerLoss()(self.net.forward_features(image))

    losses = Losses()
    stacked = {f"net.{name}": value for name, value in (parameters | buffers).items()}
    together = torch.vmap(lambda state, image: functional_call(losses, state, (image[None],)))(stacked, images)
    together.sum().backward()
    for index, net in enumerate(nets):
        alone = MSFormerLoss()(net.forward_features(images[index : index + 1]))
        assert together[index].item() == pytest.approx(alone.item(), rel=1e-5)
        alone.backward()
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(parameters[name].grad[index], parameter.grad, atol=1e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize(
    "arguments", [{"spatial_dims": 3}, {"depths": (2,)}, {"depths": (0, 2)}, {"in_channels": 0}, {"patch_size": 0}]
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="MSFormer"):
        MSFormer(**arguments)


def test_published_weight_sets():
    assert tuple(NOTEBOOK_PREVIEW_WEIGHTS) == (2.0, 1.2)
    assert tuple(NOTEBOOK_SCORED_WEIGHTS) == (1.5, 1.3)
