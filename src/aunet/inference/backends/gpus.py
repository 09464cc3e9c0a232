"""The GPUs that PyTorch sees; part of the PyTorch backend, and imported on use like it."""

import torch


def list_gpus() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs, with their memory.

    Returns:
        One line a GPU, in PyTorch's order; none without CUDA.
    """
    if not torch.cuda.is_available():
        return ()
    properties = (torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count()))
    return tuple(f"{one.name}, {one.total_memory / 2**30:.0f} GiB" for one in properties)
