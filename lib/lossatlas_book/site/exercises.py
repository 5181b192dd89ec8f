"""A Sphinx extension: exercises, with solutions that stay folded until a reader opens them.

In MyST, `:::{exercise} Title` and `:::{solution} Title`. A code cell tagged `solution` that follows a solution
belongs to it and is folded with it.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxTranslator

from .cells import SOLUTION

logger = logging.getLogger(__name__)


class Solution(nodes.General, nodes.Element):
    """A part of a page that stays folded until a reader opens it."""


class SolutionTitle(nodes.General, nodes.TextElement):
    """What is seen of a folded solution."""


class ExerciseDirective(SphinxDirective):
    """An exercise, in a frame."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    word = "Exercise"

    def run(self) -> list[nodes.Node]:
        """Return the exercise with its title."""
        self.assert_has_content()
        return [self._filled(nodes.admonition(classes=["la-exercise"]), nodes.title)]

    def _filled(self, parent: nodes.Element, title: type[nodes.TextElement]) -> nodes.Element:
        text = f"{self.word}: {self.arguments[0]}"
        children, messages = self.state.inline_text(text, self.lineno)
        parent += [title(text, "", *children), *messages]
        self.set_source_info(parent)
        self.state.nested_parse(self.content, self.content_offset, parent)
        return parent


class SolutionDirective(ExerciseDirective):
    """The solution of the exercise above it; without content if code cells alone are the solution."""

    word = "Solution"

    def run(self) -> list[nodes.Node]:
        """Return the solution, folded."""
        return [self._filled(Solution(), SolutionTitle)]


class GatherSolutions(SphinxTransform):
    """Move code cells tagged `solution` into the solution before them."""

    default_priority = 400

    def apply(self) -> None:
        """Move the cells of a page."""
        for cell in list(self.document.findall(nodes.container)):
            if SOLUTION not in cell.get("cell_metadata", {}).get("tags", []):
                continue
            place = cell.parent.index(cell)
            before = cell.parent[place - 1] if place else None
            if isinstance(before, Solution):
                cell.parent.remove(cell)
                before += cell
            else:
                logger.warning("a code cell tagged 'solution' follows no solution", location=cell)


def visit_solution(translator: SphinxTranslator, node: Solution) -> None:
    """Begin a folded part."""
    translator.body.append('<details class="la-solution">\n')


def depart_solution(translator: SphinxTranslator, node: Solution) -> None:
    """End a folded part."""
    translator.body.append("</details>\n")


def visit_title(translator: SphinxTranslator, node: SolutionTitle) -> None:
    """Begin the line that is always seen."""
    translator.body.append("<summary>")


def depart_title(translator: SphinxTranslator, node: SolutionTitle) -> None:
    """End the line that is always seen."""
    translator.body.append("</summary>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.add_node(Solution, html=(visit_solution, depart_solution))
    app.add_node(SolutionTitle, html=(visit_title, depart_title))
    app.add_directive("exercise", ExerciseDirective)
    app.add_directive("solution", SolutionDirective)
    app.add_transform(GatherSolutions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
