"""SSFormer: sizes, channels, gradients, TorchScript, arguments."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks.layers import DropPath

from medseg.networks import ENCODERS, SSFormer, build_encoder

# arguments, shape in, shape out
CASES = [
    ({"encoder": "mit_b0"}, (2, 3, 64, 64), (2, 1, 64, 64)),
    ({"encoder": "mit_b0", "in_channels": 1, "out_channels": 4}, (1, 1, 97, 131), (1, 4, 97, 131)),
    ({"encoder": "mit_b1", "in_channels": 5}, (1, 5, 130, 66), (1, 1, 130, 66)),
]


def small(**kwargs: object) -> SSFormer:
    return SSFormer(**{"encoder": "mit_b0", "decoder_channels": 8, **kwargs})


@pytest.mark.parametrize(("kwargs", "shape_in", "shape_out"), CASES)
def test_shape(kwargs: dict, shape_in: tuple[int, ...], shape_out: tuple[int, ...]) -> None:
    assert small(**kwargs).eval()(torch.randn(shape_in)).shape == shape_out


@settings(max_examples=12, deadline=None)
@given(height=st.integers(64, 200), width=st.integers(64, 200))
def test_any_size_from_64_and_torchscript_agrees(height: int, width: int) -> None:
    image = torch.randn(1, 3, height, width)
    with torch.no_grad():
        logits = _NETWORK(image)
        assert logits.shape == (1, 1, height, width)
        torch.testing.assert_close(_SCRIPTED(image), logits)


_NETWORK = small().eval()
_SCRIPTED = torch.jit.script(_NETWORK)


@pytest.mark.parametrize("name", ENCODERS)
def test_encoder_keeps_its_promises(name: str) -> None:
    with torch.device("meta"):
        encoder = build_encoder(name, in_channels=1)
        maps = encoder(torch.empty(1, 1, 96, 64))
    assert len(maps) == len(encoder.out_channels) == len(encoder.strides)
    for level, channels, stride in zip(maps, encoder.out_channels, encoder.strides, strict=True):
        assert level.shape == (1, channels, 96 // stride, 64 // stride)


def test_every_parameter_gets_a_gradient() -> None:
    network = small(drop_path=0.0)
    network(torch.randn(2, 3, 64, 96)).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_prediction_follows_the_image_not_its_transpose() -> None:
    """A bright bar on the right must move the logits on the right."""
    network = small().eval()
    image = torch.zeros(1, 3, 64, 128)
    image[..., 96:] = 3.0
    with torch.no_grad():
        change = (network(image) - network(torch.zeros_like(image))).abs()[0, 0]
    assert change[:, 96:].mean() > 2 * change[:, :32].mean()


def test_attention_equals_softmax_written_out() -> None:
    attention = build_encoder("mit_b0").stages[1].blocks[0].attn
    x = torch.randn(2, 12 * 16, 64)
    reduced = attention.sr(x.transpose(1, 2).reshape(2, 64, 12, 16)).flatten(2).transpose(1, 2)
    k, v = attention.kv(attention.norm(reduced)).chunk(2, dim=-1)
    heads = [t.reshape(2, -1, 2, 32).permute(0, 2, 1, 3) for t in (attention.q(x), k, v)]
    weights = F.softmax(heads[0] @ heads[1].transpose(-1, -2) / 32**0.5, dim=-1)
    expected = attention.proj((weights @ heads[2]).permute(0, 2, 1, 3).reshape(2, -1, 64))
    torch.testing.assert_close(attention(x, 12, 16), expected)


def test_stochastic_depth_grows_linearly() -> None:
    rates = [m.drop_prob for m in build_encoder("mit_b2", drop_path=0.15).modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([0.01 * i for i in range(1, 16)])


def test_epsilon_of_the_norms() -> None:
    """The goldens cannot see these: 1e-6 in blocks and after stages, 1e-5 in patch embeddings and reductions."""
    for stage in build_encoder("mit_b0").stages:
        assert stage.norm.eps == stage.blocks[0].norm1.eps == stage.blocks[0].norm2.eps == 1e-6
        assert stage.patch_embed.norm.eps == 1e-5
        if stage.blocks[0].attn.reduction > 1:
            assert stage.blocks[0].attn.norm.eps == 1e-5


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"spatial_dims": 3}, "spatial_dims must be 2, got 3"),
        ({"encoder": "resnet"}, "encoder must be one of mit_b0, .* got 'resnet'"),
        ({"decoder": "unet"}, "decoder must be one of pld.* got 'unet'"),
    ],
)
def test_ill_arguments(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**kwargs)
