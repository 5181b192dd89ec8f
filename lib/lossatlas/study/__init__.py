"""What a chapter asks for: trained networks and their surfaces, kept on disk."""

from lossatlas._chapters import chapters
from lossatlas._files import in_project
from lossatlas._parameters import check_parameters
from lossatlas.study.conclusions import Conclusion, UnexpectedVerdict
from lossatlas.study.conditions import Condition
from lossatlas.study.eigenvalues import eigenvalue_map
from lossatlas.study.planes import GivenPlane, PathPlane, PlaneBetween, RandomPlane
from lossatlas.study.publishing import answers, published
from lossatlas.study.slices import Slice
from lossatlas.study.store import Store
from lossatlas.study.study import Study

__all__ = [
    "Conclusion",
    "Condition",
    "GivenPlane",
    "PathPlane",
    "PlaneBetween",
    "RandomPlane",
    "Slice",
    "Store",
    "Study",
    "UnexpectedVerdict",
    "answers",
    "chapters",
    "check_parameters",
    "eigenvalue_map",
    "in_project",
    "published",
]
