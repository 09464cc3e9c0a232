"""The errors that damaged bytes cause in the libraries we read with."""

import struct
import zlib

from pydicom.errors import BytesLengthException

DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom, Pillow, tifffile and the decoders raise on damaged bytes; none of them promises fewer."""
