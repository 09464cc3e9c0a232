"""Which DICOM transfer syntaxes can be read, and by what; and which of them on this machine."""

from dataclasses import dataclass

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

PYDICOM = "pydicom"
"""Stands for data that is not compressed, or deflated as a whole: pydicom reads it by itself."""

# The decoder is asked for by name, since pydicom's own order is not safe: pylibjpeg clamps JPEG-lossless differences
# that wrap modulo 2^P and says nothing, and gdcm can't do JPEG Extended of 12 bits.
SYNTAXES = (
    ("Implicit VR Little Endian", "1.2.840.10008.1.2", PYDICOM),
    ("Explicit VR Little Endian", "1.2.840.10008.1.2.1", PYDICOM),
    ("Explicit VR Big Endian", "1.2.840.10008.1.2.2", PYDICOM),
    ("Deflated Explicit VR Little Endian", "1.2.840.10008.1.2.1.99", PYDICOM),
    ("RLE Lossless", "1.2.840.10008.1.2.5", "pylibjpeg"),
    ("JPEG Baseline, 8 bit", "1.2.840.10008.1.2.4.50", "pylibjpeg"),
    ("JPEG Extended, 12 bit", "1.2.840.10008.1.2.4.51", "pylibjpeg"),
    ("JPEG Lossless", "1.2.840.10008.1.2.4.57", "gdcm"),
    ("JPEG Lossless, first-order prediction", "1.2.840.10008.1.2.4.70", "gdcm"),
    ("JPEG-LS Lossless", "1.2.840.10008.1.2.4.80", "pyjpegls"),
    ("JPEG-LS Near-lossless", "1.2.840.10008.1.2.4.81", "pyjpegls"),
    ("JPEG 2000 Lossless", "1.2.840.10008.1.2.4.90", "pylibjpeg"),
    ("JPEG 2000", "1.2.840.10008.1.2.4.91", "pylibjpeg"),
)
"""Name, UID and decoder of each transfer syntax that mammograms come in."""


@dataclass(frozen=True, slots=True)
class DecoderFacts:
    """What decodes one transfer syntax."""

    name: str
    transfer_syntax_uid: str
    plugin: str
    """The one that is used; no other is asked, since not all of them are right."""
    is_available: bool
    """Whether it is installed with all that it needs."""


def list_decoders() -> tuple[DecoderFacts, ...]:
    """The transfer syntaxes of mammograms, uncompressed ones first.

    Returns:
        One entry a transfer syntax.
    """
    return tuple(
        DecoderFacts(name, syntax, plugin, is_available=plugin == PYDICOM or _is_available(syntax, plugin))
        for name, syntax, plugin in SYNTAXES
    )


def _is_available(syntax: str, plugin: str) -> bool:
    return plugin in get_decoder(UID(syntax)).available_plugins
