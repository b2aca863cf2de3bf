"""Every encoder with every decoder: what the two promise each other, without weights from anywhere."""

import pytest
import torch

from medseg.networks import DECODERS, SSFormer, build_decoder, build_encoder

pytestmark = pytest.mark.slow

SMALLEST = ("mit_b0", "pvt_tiny", "pvt_v2_b0", "cvt_13", "simvit_tiny", "shunted_tiny", "efficientnet_lite0")
PAIRS = [(encoder, decoder) for encoder in SMALLEST for decoder in DECODERS if (encoder, decoder) != ("cvt_13", "ppd")]


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_a_pair_runs_trains_and_scripts(encoder: str, decoder: str) -> None:
    network = SSFormer(out_channels=2, encoder=encoder, decoder=decoder, decoder_channels=16, drop_path=0.0)

    outputs = network.train()(torch.randn(2, 3, 65, 83))
    outputs = outputs if isinstance(outputs, list) else [outputs]
    assert {output.shape for output in outputs} == {(2, 2, 65, 83)}
    sum(output.square().mean() for output in outputs).backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []

    image = torch.randn(1, 3, 97, 64)
    network.eval()
    with torch.inference_mode():
        expected = network(image)
        assert expected.shape == (1, 2, 97, 64)
        torch.testing.assert_close(torch.jit.script(network)(image), expected, atol=1e-6, rtol=0)


def test_ppd_names_the_encoder_it_cannot_work_with() -> None:
    with pytest.raises(ValueError, match="'ppd' needs an encoder with 4 levels, this one has 3"):
        SSFormer(encoder="cvt_13", decoder="ppd")


@pytest.mark.parametrize("decoder", DECODERS)
def test_deep_supervision_comes_in_training_only_with_the_prediction_first(decoder: str) -> None:
    maps = [torch.randn(2, c, 32 // s, 48 // s) for c, s in ((8, 1), (16, 2), (24, 4), (32, 8))]
    module = build_decoder(decoder, (8, 16, 24, 32), out_channels=3, channels=16, dropout=0.0)
    in_training = module.train()(maps)
    assert len(in_training) == (3 if decoder == "ppd" else 1)
    assert {logits.shape[1] for logits in in_training} == {3}
    if decoder == "ppd":
        torch.testing.assert_close(in_training[0], in_training[1] + in_training[2])
    assert len(module.eval()(maps)) == 1


@pytest.mark.parametrize("size", [(224, 224), (448, 448), (64, 230)])
def test_pvt_positions_fit_every_size(size: tuple[int, int]) -> None:
    with torch.device("meta"):
        maps = build_encoder("pvt_tiny")(torch.empty(1, 3, *size))
    assert maps[-1].shape[2:] == (size[0] // 32, size[1] // 32)


def test_drop_path_follows_the_published_rates_unless_given() -> None:
    def rates(name: str, drop_path: float | None) -> list[float]:
        with torch.device("meta"):
            encoder = build_encoder(name, drop_path=drop_path)
        blocks = [block for stage in encoder.stages for block in stage.blocks]
        return [getattr(block.drop_path, "drop_prob", 0.0) for block in blocks]

    assert rates("mit_b0", None) == pytest.approx([0.1 * i / 7 for i in range(8)])
    assert rates("cvt_13", None) == pytest.approx([0, 0, 0] + [0.1 * i / 9 for i in range(10)])
    assert rates("simvit_tiny", None) == [0.0] * 11
    assert rates("shunted_tiny", 0.7)[-1] == pytest.approx(0.7)
    assert rates("mit_b0", 0.0) == [0.0] * 8
