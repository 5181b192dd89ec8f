"""What a chapter asks for: trained networks and their surfaces, kept on disk."""

from lossatlas._files import in_project
from lossatlas.study.store import Store
from lossatlas.study.study import Condition, Slice, Study, answers, published

__all__ = ["Condition", "Slice", "Store", "Study", "answers", "in_project", "published"]
