"""ICC profile, EXIF and XMP as Pillow has them."""

from PIL import Image

EXIF_PREFIX = b"Exif\0\0"
# Pillow's names of the metadata that is kept.
INFO_KEYS = {"icc": "icc_profile", "exif": "exif", "xmp": "xmp"}


def read_metadata(image: Image.Image) -> dict[str, bytes]:
    """ICC profile, EXIF and XMP data of a Pillow image, by the names of INFO_KEYS."""
    found = {name: image.info.get(key) for name, key in INFO_KEYS.items()}
    metadata = {k: v for k, v in found.items() if isinstance(v, bytes) and v}
    if "exif" in metadata:
        metadata["exif"] = metadata["exif"].removeprefix(EXIF_PREFIX)
    return metadata


def info_value(name: str, value: bytes) -> bytes:
    """Metadata as Pillow has them in `info`."""
    return EXIF_PREFIX + value if name == "exif" else value
