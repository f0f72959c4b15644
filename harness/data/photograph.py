"""One photograph, read for SinGAN and brought to every scale of its pyramid.

What becomes of odd files is ``decode``'s: grey is replicated, alpha is composited over white,
16-bit grey is scaled to 8 bits. EXIF orientation is applied: a photograph is trained on as it is
looked at. Shape letters: H W pixels.
"""

import warnings

import numpy as np
from PIL import Image

from harness.data import BrokenImageError, Pixels, digest
from harness.data.decode import MAX_BYTES, decode
from harness.data.prepare import Prepared
from harness.errors import DataError
from harness.files import plain
from harness.spec.photographs import located, title, unreadable
from harness.spec.pyramid import Pyramid

RESIZE = "bicubic, antialiased where it shrinks (Pillow)"
"""What ``resized`` does, for a protocol."""


def read(root: str) -> Pixels:
    """Read one image as uint8 HW3.

    Args:
        root: its path, or ``shipped:NAME``.

    Raises:
        DataError: it is missing, a folder, or no sound image.
    """
    path = located(root)
    try:
        with warnings.catch_warnings():  # PIL warns of bombs and of odd EXIF data
            warnings.simplefilter("ignore")
            return np.array(decode(plain.read(path, MAX_BYTES), upright=True))
    except OSError as error:
        raise DataError(unreadable(root, error.strerror or str(error))) from None
    except BrokenImageError as error:
        raise DataError(unreadable(root, str(error))) from None


def prepare(root: str, pyramid: Pyramid) -> Prepared:
    """Return an image at every scale of its pyramid, each made from the full image.

    Returns:
        ``Prepared`` with scales by their longer side in px, uint8 (1, 3, H, W).

    Raises:
        DataError: there is no sound image.
    """
    image = read(root)
    whole = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
    scales = {
        side: np.ascontiguousarray(resized(image, size).transpose(2, 0, 1)[None])
        for side, size in zip(pyramid.scales, pyramid.sizes, strict=True)
    }
    facts = {"real_split": "the one image", "real_resize": RESIZE}
    return Prepared(title(root), digest(whole), (), scales, facts)


def resized(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Return an image uint8 HW3 at another size H, W: bicubic, antialiased where it shrinks."""
    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
