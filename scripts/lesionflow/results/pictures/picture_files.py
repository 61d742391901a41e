"""Pictures as files, whose bytes depend on the pictures alone."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lesionflow.base.atomic_write import write_atomically

# Level of zlib: a third of the time of Pillow's default, 6, for files a twelfth larger.
COMPRESSION = 2
A4_WIDTH_INCHES = 8.27
JPEG_QUALITY = (
    95  # of the pages in a PDF: no difference that is seen, a third of the size without a loss
)
WEBP_QUALITY = 80


def write_png(path: str | Path, picture: Image.Image) -> None:
    """Write a PNG file atomically."""
    with write_atomically(path) as partial:
        picture.save(partial, format="PNG", compress_level=COMPRESSION)


def write_webp(path: str | Path, picture: Image.Image) -> None:
    """Write a small WebP file atomically, with a loss."""
    with write_atomically(path) as partial:
        picture.save(partial, format="WEBP", quality=WEBP_QUALITY, method=4)


def write_pdf(path: str | Path, pages: Sequence[Image.Image], title: str) -> None:
    """Write pages atomically as a PDF, each as wide as A4 and as high as it needs, without a date."""
    with write_atomically(path) as partial:
        pages[0].save(
            partial,
            format="PDF",
            save_all=True,
            append_images=pages[1:],
            resolution=pages[0].width / A4_WIDTH_INCHES,
            quality=JPEG_QUALITY,
            subsampling=0,  # colours as sharp as greys, for lines of one pixel
            title=title,
            creationDate=None,
            modDate=None,
        )
