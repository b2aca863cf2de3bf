"""The image of a case as its file has it."""

from collections.abc import Mapping
from typing import Any

from monai.data import MetaTensor
from monai.transforms import LoadImage

from medseg.data.fault_tolerant_dataset import SOURCE_KEY
from medseg.data.pictures import PictureReader
from medseg.data.volume_reader import VolumeReader
from medseg.files import case_source


def source_of(item: Mapping[str, Any], key: str = "image") -> MetaTensor:
    """The source of a batch item: what the dataset kept (`FaultTolerantDataset`), else read from its file.

    Args:
        item: of `engine.state.batch`; `key` is a MetaTensor that knows its file.
        key: key of the image.

    Returns:
        a picture `[H, W, 3]` (0 to 255) or a volume `[X, Y, Z]` in its file's units, float32, with its affine.

    Raises:
        InputError: when the image knows no file, or the file cannot be read.
    """
    if SOURCE_KEY in item:
        return item[SOURCE_KEY]
    file = case_source(getattr(item[key], "meta", {}))
    volumes = VolumeReader()
    loaded = LoadImage(reader=volumes if volumes.verify_suffix(file) else PictureReader(), image_only=True)(file)
    assert isinstance(loaded, MetaTensor)
    return loaded
