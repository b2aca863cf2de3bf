"""The command line: help, errors, and `convert` and `inspect` with files as users hold them."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from medseg import __version__
from medseg.cli.main import main
from medseg.errors import InputError
from medseg.networks import SSFormer, build_encoder


class _Surprise:
    def __reduce__(self) -> tuple:
        return (print, ("code in the file was run",))


def segformer_keys() -> dict[str, torch.Tensor]:
    """MiT-b0 under the names of SegFormer's own ImageNet files."""
    renamed = {}
    for key, tensor in build_encoder("mit_b0").state_dict().items():
        _, stage, part, rest = key.split(".", 3)
        stage = str(int(stage) + 1)
        name = {"blocks": f"block{stage}.", "patch_embed": f"patch_embed{stage}.", "norm": f"norm{stage}."}[part]
        renamed[name + rest.replace("mlp.dwconv.", "mlp.dwconv.dwconv.")] = tensor
    return renamed | {"head.weight": torch.zeros(1000, 256), "head.bias": torch.zeros(1000)}


def truncated(path: Path) -> None:
    torch.save(segformer_keys(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def one_key_short(path: Path) -> None:
    weights = segformer_keys()
    del weights["block3.1.attn.kv.bias"]
    torch.save(weights, path)


BAD_FILES = {
    "truncated": (truncated, "truncated"),
    "another network": (lambda path: torch.save(nn.Conv2d(3, 8, 3).state_dict(), path), "no encoder that medseg knows"),
    "a pickled object": (lambda path: torch.save({"model": _Surprise()}, path), "could run code"),
    "an empty dict": (lambda path: torch.save({}, path), "holds no state_dict"),
    "not a weight file": (lambda path: path.write_text("<html>Not found</html>"), "bad.pth"),
    "one key short": (one_key_short, r"1 missing (encoder.stages.2.blocks.1.attn.kv.bias)"),
    "one key more": (
        lambda path: torch.save(segformer_keys() | {"aux.weight": torch.zeros(1)}, path),
        "1 left over (aux.weight)",
    ),
    "a missing file": (lambda path: None, "There is no weight file"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_one_sentence_and_no_output(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write, message = BAD_FILES[kind]
    write(tmp_path / "bad.pth")
    assert main(["convert", str(tmp_path / "bad.pth"), "--to", str(tmp_path / "models" / "model.pt")]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert message in err
    assert "bad.pth" in err
    assert "code in the file was run" not in out
    assert not (tmp_path / "models").exists() or list((tmp_path / "models").iterdir()) == []


def test_an_encoder_file_becomes_pretrained_weights(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    weights = segformer_keys()
    torch.save(weights, tmp_path / "mit_b0.pth")
    target = tmp_path / "models" / "model.pt"
    arguments = ["convert", str(tmp_path / "mit_b0.pth"), "--to", str(target)]
    assert main(arguments) == 0
    account = capsys.readouterr().out
    assert "network: encoder mit_b0, in_channels 3 (the encoder alone)" in account
    assert f"mapped: {len(weights) - 2} keys" in account
    assert f"to train from it: --encoder mit_b0 --pretrained {target}" in account
    assert "ignored by rule: 2 keys\n  2 the ImageNet classifier\nmissing or left over: none" in account

    network = SSFormer(encoder="mit_b0", decoder="mla", decoder_channels=8, pretrained=target)
    torch.testing.assert_close(network.encoder.stages[2].norm.weight, weights["norm3.weight"])

    target.write_bytes(b"mine")
    assert main(arguments) == 1
    assert "exists already" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"
    assert main([*arguments, "--overwrite"]) == 0
    assert target.stat().st_size > 1000
    assert [path.name for path in target.parent.iterdir()] == ["model.pt"]


@pytest.mark.parametrize(("encoder", "decoder"), [("shunted_tiny", "ppd"), ("cvt_13", "pup"), ("pvt_tiny", "mla")])
def test_our_own_weights_are_recognized(
    encoder: str, decoder: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    network = SSFormer(in_channels=1, out_channels=3, encoder=encoder, decoder=decoder, decoder_channels=8)
    torch.save({"model": network.state_dict()}, tmp_path / "checkpoint.pt")
    assert main(["convert", str(tmp_path / "checkpoint.pt"), "--to", str(tmp_path / "model.pt")]) == 0
    account = capsys.readouterr().out
    assert f"network: encoder {encoder}, in_channels 1, decoder {decoder}, out_channels 3" in account
    assert f"--encoder {encoder} --decoder {decoder} --decoder_channels 8" in account
    network.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))


@pytest.mark.slow
def test_as_a_program(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "empty.pt")
    done = subprocess.run(
        [sys.executable, "-m", "medseg", "inspect", tmp_path / "empty.pt"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("Error: ")] == done.stderr.splitlines()[-1:]
    assert done.stdout == ""


COMMANDS = ("run", "convert", "inspect", "export", "report", "compare", "audit", "serve")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=str)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from medseg.cli.main import main\n"
        "try:\n"
        f"    main({arguments})\n"
        "finally:\n"
        "    heavy = {'torch', 'monai', 'ignite', 'numpy', 'yaml', 'skimage'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=str)
def test_every_help_ends_with_examples(command: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    _, examples = capsys.readouterr().out.split("\nexamples:\n")
    lines = examples.strip().splitlines()
    assert lines
    for line in lines:
        assert line.split()[:3] == ["python", "-m", "medseg"]
        if command:
            assert line.split()[3] == command[0]


def test_version(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"medseg {__version__}\n"


@pytest.mark.parametrize("error", [ValueError("x"), PermissionError("x"), OSError("x"), KeyError("x")])
def test_other_errors_keep_their_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise error

    monkeypatch.setattr("medseg.results.report.write_report", fail)
    with pytest.raises(type(error)):
        main(["report", "results"])


@pytest.mark.parametrize("error", [InputError("x"), FileNotFoundError("x"), FileExistsError("x")])
def test_what_the_user_can_correct_is_one_sentence(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(folder: Path) -> None:
        raise RuntimeError("as MONAI wraps it") from error

    monkeypatch.setattr("medseg.results.report.write_report", fail)
    assert main(["report", "results"]) == 1
    assert capsys.readouterr().err == "Error: x\n"
