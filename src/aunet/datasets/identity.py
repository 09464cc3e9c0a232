"""Whether the images are still the same ones."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from aunet.sample import Sample


def identity_of(samples: Iterable[Sample]) -> str:
    """Hash of the samples: names, patients, facts of the table, and size and time of change of their files.

    Args:
        samples: The samples in their order; where they lie doesn't count, so that a data set may be moved as a whole.

    Returns:
        SHA-256 in hexadecimal; another one as soon as anything that a score depends on may have changed.
    """
    images = hashlib.sha256()
    for sample in samples:
        files = [_state(path) for path in (sample.image_path, *sample.mask_paths)]
        facts = [sample.case, sample.patient_id, *files, repr(sample.properties)]
        words = [sample.laterality, sample.view, sample.spacing_mm, sample.region_names]
        images.update(json.dumps(facts + words).encode())
    return images.hexdigest()


def _state(path: Path) -> tuple[int, int]:
    """Size and time of change of a file, which tell whether it is still the one that was used."""
    try:
        found = path.stat()
    except OSError:
        return (-1, -1)
    return found.st_size, found.st_mtime_ns
