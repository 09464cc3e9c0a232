"""Dense blocks: who sees whom."""

import torch

from aunet.models.dense import DenseBlock, activated_convolution


def test_each_layer_sees_the_input_and_all_new_features_before_it() -> None:
    block = DenseBlock(
        2, layers=3, growth=4, layer=lambda before, after: activated_convolution(before, after, kernel_size=3)
    )
    features = torch.randn(2, 2, 5, 6, generator=torch.Generator().manual_seed(1))

    result = block.eval()(features)

    first = block.layers[0](features)
    second = block.layers[1](torch.cat([features, first], dim=1))
    third = block.layers[2](torch.cat([features, first, second], dim=1))
    torch.testing.assert_close(result, torch.cat([features, first, second, third], dim=1))
