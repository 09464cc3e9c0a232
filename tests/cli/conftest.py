"""A record of training images, for the command line to compare with."""

from collections.abc import Callable

import pytest

from aunet.datasets.opening import open_dataset
from aunet.preprocessing.cache import PreparedCache
from aunet.preprocessing.pipeline import Preprocessing
from aunet.preprocessing.population import population_of, profile_of


@pytest.fixture(scope="session")
def record_of() -> Callable[[str, Preprocessing], str]:
    """Gives what a model card says of training on all images of a data set."""

    def record(data: str, settings: Preprocessing) -> str:
        cache = PreparedCache(None, settings)
        return population_of(profile_of(cache.load(one), settings) for one in open_dataset(data).samples).to_json()

    return record
