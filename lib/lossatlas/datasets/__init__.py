"""What networks are trained on: datasets by name, their files found, checked and kept."""

from lossatlas.datasets.cache import DatasetUnavailable
from lossatlas.datasets.load import DATASETS, Dataset, fixed_sample, load_dataset

__all__ = ["DATASETS", "Dataset", "DatasetUnavailable", "fixed_sample", "load_dataset"]
