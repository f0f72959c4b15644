"""One file to one RGB image of 8 bits.

- grey is replicated; 16-bit grey v in [0, 65535] becomes round(v / 257);
- alpha, also a palette's, is composited over white; palettes, CMYK and bilevel are converted;
- EXIF orientation is applied where the caller asks for it, else pixels are taken as stored;
- an animation gives its first frame.
"""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from harness.data import BrokenImageError, DataSource, Pixels, UnfitImageError
from harness.spec.photographs import CORRUPT, FORMATS

MAX_PIXELS = 2**26  # of an image that is decoded: 8192 x 8192 px
MAX_BYTES = 2**28  # of a file or archive member that is read: 256 MiB


def decode(data: bytes, upright: bool = False) -> Image.Image:
    """Decode a file's bytes to RGB.

    Args:
        data: the file's bytes.
        upright: turn the image as its EXIF orientation says.

    Raises:
        BrokenImageError: they are no sound image, or an absurdly large one.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BrokenImageError(f"{image.width} x {image.height} px is too large")
            return _rgb(ImageOps.exif_transpose(image) if upright else image)
    except UnidentifiedImageError as error:
        raise BrokenImageError("not an image") from error
    except (*CORRUPT, Image.DecompressionBombError) as error:
        raise BrokenImageError(one_line(error)) from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        grey = np.asarray(image).clip(0, 65535).astype(np.uint32)
        return Image.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise BrokenImageError("pixels are floating-point numbers of unknown range")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def fitted(image: Image.Image, source: DataSource) -> Pixels:
    """Crop and area-average an RGB image to uint8 3HW of the source's resolution."""
    side, goal = min(image.size), source.resolution
    if side < goal or (image.width != image.height and source.crop == "none"):
        raise UnfitImageError(f"{image.width} x {image.height} px")
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    small = square.resize((goal, goal), Image.Resampling.BOX)
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def one_line(error: BaseException) -> str:
    """Return an error's text on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
