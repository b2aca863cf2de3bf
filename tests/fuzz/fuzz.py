"""Damage small generated files, read them as inference does, and count what happens.

    python tests/fuzz/fuzz.py --seed 0 --cases 300

Each case is a folder with one good and one damaged input. It is listed and read by the listing, the reader and the
`FaultTolerantDataset` that inference uses. The damaged input is read or refused. It is wrong if what was read has
another shape than its header says, an axis that is none, or an infinite value, if nothing names the damaged file, or if
the good input is not read. It is crashed if an exception ends the run, and unexplained if the case fails with anything
but a sentence for the user.
"""

import argparse
import gzip
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from monai.transforms import Compose, LoadImaged
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from dicom_files import AXIAL, nifti_affine, slices_of, with_text, write_slices

from medseg.data import CaseFailure, FaultTolerantDataset, PictureReader, VolumeReader, find_images, find_volumes
from medseg.errors import InputError

OUTCOMES = ("tried", "read", "refused", "unexplained", "wrong", "crashed", "slow")
SLOW = 20.0  # seconds
_VALUES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_DAMAGED = "damaged"
_TEXTS = ("x", "", "inf", "nan", "-1", "0", "1e308", "999999", "1\\2", "\udcff".encode("utf-8", "surrogateescape"))
_ATTRIBUTES = (
    *("SeriesNumber", "NumberOfFrames", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "Modality"),
    *("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept"),
    *("ImageType", "RescaleType", "SOPClassUID"),
)


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip bits, cut, erase, insert or write numbers that programs stumble over; mostly in the first 600 bytes."""
    values = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        end = min(len(values), 600) if rng.random() < 0.7 else len(values)
        at, size = int(rng.integers(max(end, 1))), int(rng.integers(1, 64))
        match int(rng.integers(6)):
            case 0 | 1 if values:
                values[at % len(values)] ^= 1 << int(rng.integers(8))
            case 2:
                del values[at if rng.random() < 0.5 else int(rng.integers(len(values) + 1)) :]
            case 3:
                values[at : at + size] = bytes(len(values[at : at + size]))
            case 4:
                values[at:at] = rng.bytes(size)
            case _:
                width = int(rng.choice([1, 2, 4]))
                number = int(rng.choice(_VALUES)) & (2 ** (8 * width) - 1)
                values[at : at + width] = number.to_bytes(width, "little" if rng.random() < 0.7 else "big")
    return bytes(values)


def make_pictures(folder: Path, rng: np.random.Generator) -> None:
    """A good picture and a damaged one of any format and mode."""
    suffix = str(rng.choice([".png", ".jpg", ".bmp", ".tif"]))
    image = Image.fromarray(rng.integers(0, 256, (11, 17, 3)).astype(np.uint8))
    image.save(folder / "good.png")
    mode = str(rng.choice(["RGB", "L", "P", "1"] if suffix != ".jpg" else ["RGB", "L", "CMYK"]))
    damaged = folder / f"{_DAMAGED}{suffix}"
    image.convert(mode).save(
        damaged, **({"compression": "tiff_lzw"} if suffix == ".tif" and rng.random() < 0.5 else {})
    )
    damaged.write_bytes(mutate(damaged.read_bytes(), rng))


def make_nifti(folder: Path, rng: np.random.Generator) -> None:
    """A good volume and one of which a field of the header, or bytes, are damaged."""
    volume = rng.integers(-1000, 1000, (7, 6, 5)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([0.7, 0.9, 2.5, 1])), folder / "good.nii")
    damaged = folder / f"{_DAMAGED}{rng.choice(['.nii', '.nii.gz'])}"
    plain = bytearray((folder / "good.nii").read_bytes())
    if rng.random() < 0.7:  # below the compression
        plain = bytearray(mutate(bytes(plain), rng))
    damaged.write_bytes(bytes(plain))
    if damaged.suffix == ".gz":
        damaged.write_bytes(gzip.compress(bytes(plain)))
    if rng.random() < 0.4:
        damaged.write_bytes(mutate(damaged.read_bytes(), rng))


def make_dicom(folder: Path, rng: np.random.Generator) -> None:
    """A good series, and one of which a value of one header, or the bytes of one or all files, are damaged."""
    volume = rng.integers(-1000, 1000, (7, 6, 4)).astype(np.int16)
    affine = nifti_affine(AXIAL, (0.7, 0.9, 2.5))
    write_slices(folder / "good", slices_of(volume, affine))
    paths = write_slices(folder / _DAMAGED, slices_of(volume, affine))
    chosen = paths if rng.random() < 0.3 else [paths[int(rng.integers(len(paths)))]]
    by_value, name, text = rng.random() < 0.4, str(rng.choice(_ATTRIBUTES)), rng.choice(len(_TEXTS))
    for path in chosen:
        if by_value:
            path.write_bytes(with_text(path, name, _TEXTS[int(text)]))
        else:
            path.write_bytes(mutate(path.read_bytes(), rng))


def wrong(item: Any, kind: str) -> str:
    """Why a case that was read cannot be right; empty if nothing says so."""
    image = item["image"]
    if np.isinf(np.asarray(image)).any():
        return "an infinite value"
    if kind == "pictures":
        with Image.open(item["image"].meta["filename_or_obj"]) as file:
            return "" if sorted(file.size) == sorted(image.shape[:2]) else "another size than its header"
    affine = np.asarray(image.affine)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) == 0:
        return "an affine that is none"
    return "" if image.ndim == 3 and image.numel() else f"the shape {tuple(image.shape)}"


@cache
def _loading(reader: Any) -> Compose:
    return Compose([LoadImaged("image", reader=reader)])


def run_case(kind: str, seed: int, number: int, folder: Path) -> tuple[str, str]:
    """Outcome and reason of one case."""
    make, find, reader = KINDS[kind]
    rng = np.random.default_rng([seed, list(KINDS).index(kind), number])
    make(folder, rng)
    began = time.monotonic()
    try:
        items = find(folder)
        data = FaultTolerantDataset(items, _loading(reader))
        results = {str(item["image"]): data[index] for index, item in enumerate(items)}
    except InputError as error:
        return "wrong", f"the good input is lost: {error}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "crashed", repr(error)
    if (seconds := time.monotonic() - began) > SLOW:
        return "slow", f"{seconds:.0f} s"
    relative = {str(Path(path).relative_to(folder)): result for path, result in results.items()}
    if not any(path.startswith("good") and not isinstance(result, CaseFailure) for path, result in relative.items()):
        return "wrong", "the good input is not read"
    about = [result for path, result in relative.items() if path.startswith(_DAMAGED)]
    failures = [result for result in relative.values() if isinstance(result, CaseFailure)]
    if not about and not any(_DAMAGED in failure.problem for failure in failures):
        return "wrong", "nothing names the damaged input"
    if unexplained := [failure.problem for failure in failures if "problems.json holds" in failure.problem]:
        return "unexplained", unexplained[0]
    if failures:
        return "refused", failures[0].problem
    return next((("wrong", reason) for result in about if (reason := wrong(result, kind))), ("read", ""))


KINDS: dict[str, tuple[Callable[[Path, np.random.Generator], None], Callable[..., Any], Any]] = {
    "pictures": (make_pictures, find_images, PictureReader),
    "NIfTI": (make_nifti, find_volumes, VolumeReader),
    "DICOM": (make_dicom, find_volumes, VolumeReader),
}


def fuzz(kind: str, seed: int, cases: int, first: int = 0) -> tuple[Counter[str], list[str]]:
    """Counts of the outcomes of `cases` cases, and a line for each that is neither read nor refused."""
    counts: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
    notes = []
    for number in range(first, first + cases):
        folder = Path(tempfile.mkdtemp(prefix="medseg_fuzz_"))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome, reason = run_case(kind, seed, number, folder)
        finally:
            shutil.rmtree(folder)
        counts.update(["tried", outcome])
        if outcome not in ("read", "refused"):
            notes.append(f"{kind} {number} {outcome}: {reason}")
    return counts, notes


def main() -> None:
    """Run the command line and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=300, help="of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--kind", choices=list(KINDS), action="append", help="default: all")
    arguments = parser.parse_args()
    print("| kind | " + " | ".join(OUTCOMES) + " |\n" + "|---" * (len(OUTCOMES) + 1) + "|", flush=True)
    bad = []
    for kind in arguments.kind or KINDS:
        counts, notes = fuzz(kind, arguments.seed, arguments.cases, arguments.first)
        print(f"| {kind} | " + " | ".join(str(counts[outcome]) for outcome in OUTCOMES) + " |", flush=True)
        bad += notes
    print(*bad, sep="\n", file=sys.stderr)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
