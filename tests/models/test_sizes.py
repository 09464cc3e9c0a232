"""Which image sizes are refused, and what is proposed."""

import pytest
import torch

from aunet.models.sizes import require_multiples


@pytest.mark.parametrize(
    ("rows", "columns", "proposal"),
    [
        (250, 256, "rows to 240 or 256 and its columns to 256"),
        (32, 41, "rows to 32 and its columns to 32 or 48"),
        (8, 16, "rows to 16 and its columns to 16"),
        (1, 33, "rows to 16 and its columns to 32 or 48"),
    ],
)
def test_the_nearest_multiples_are_proposed(rows: int, columns: int, proposal: str) -> None:
    with pytest.raises(ValueError, match=f"{rows} x {columns} pixels can't be halved 4 times; .* of 16: .* {proposal}"):
        require_multiples(torch.zeros(1, 1, rows, columns), stride=16)


def test_an_image_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="rows to 32 and its columns to 64"):
        require_multiples(torch.zeros(1, 1, 0, 64), stride=32)


def test_multiples_pass() -> None:
    require_multiples(torch.zeros(1, 1, 32, 96), stride=32)
