"""How a page shows the cells of a notebook: the answer first, code folded, parameters as a table, solutions closed."""

import html5lib
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from books import PARAMETERS
from lossatlas_book.notebooks import parameters
from lossatlas_book.site import build as site
from lossatlas_book.site import cells

EXERCISE = """\
## Exercises

:::{exercise} *Smaller* steps
What happens?
:::

:::{solution} Smaller steps
Nothing, to first order $\\alpha$.
:::"""


def code(source="1", *, tags=(), shown="", glued=""):
    outputs = [new_output("display_data", {"text/html": shown})] if shown else []
    prefix = "application/papermill.record/"
    outputs += [new_output("display_data", {f"{prefix}text/html": glued})] if glued else []
    return new_code_cell(source, metadata={"tags": list(tags)}, outputs=outputs)


def page(*given):
    notebook = new_notebook(cells=[new_markdown_cell("# Title\n\n**Question.** Why?"), *given])
    cells.arrange(notebook, "tiny")
    nbformat.validate(notebook)
    return notebook


def test_code_that_is_shown_is_folded_and_nothing_else():
    tags = ([], ["remove-input"], ["remove-cell"], ["hide-cell"], ["solution"], ["other"])
    notebook = page(*(code(tags=one) for one in tags))
    assert [cell.metadata["tags"] for cell in notebook.cells[1:]] == [
        ["hide-input"], *tags[1:5], ["other", "hide-input"]
    ]  # fmt: skip


def test_the_lead_is_shown_under_the_opening_text_once_and_its_code_stays_where_it_runs():
    notebook = page(
        code("first", shown="1"), code("picture", tags=["lead"], shown="<p>picture</p>", glued="<p>glued</p>")
    )
    notebook.cells[1].source = ""
    kinds = [(cell.source, [next(iter(output.data.values())) for output in cell.get("outputs", [])]) for cell in
             notebook.cells[1:]]  # fmt: skip
    assert kinds == [("", ["<p>picture</p>"]), ("first", ["1"]), ("picture", ["<p>glued</p>"])]
    assert notebook.cells[1].metadata["tags"] == ["lead", "remove-input"]
    assert notebook.cells[3].metadata["tags"] == ["hide-input"]
    with pytest.raises(ValueError, match=r"^2 cells are tagged 'lead'"):
        page(code(tags=["lead"]), code(tags=["lead"]))


def test_cells_that_show_nothing_share_the_fold_of_the_next():
    notebook = page(code("a"), code("b", glued="<p>b</p>"), code("c", shown="c"), code("d"), code(tags=["solution"]))
    kinds = [(cell.source, len(cell.outputs)) for cell in notebook.cells[1:]]
    assert kinds == [("a\n\n\nb\n\n\nc", 2), ("d", 0), ("1", 0)]


def test_parameters_become_a_table_with_the_command_that_changes_them():
    notebook = page(code(PARAMETERS, tags=["parameters"]))
    table, command = notebook.cells[1:]
    assert table.metadata["tags"] == ["parameters", "remove-input"]
    root = html5lib.parseFragment(table.outputs[0].data["text/html"], namespaceHTMLElements=False)
    rows = [["".join(cell.itertext()) for cell in row] for row in root.findall(".//tbody/tr")]
    assert rows[0] == ["grid_points", "11", "points along each side3 to 101"]
    assert rows[1] == ["radii", "0.25, 0.5", "of the circles0 to 10"]
    assert rows[3] == ["dataset", "digits", "digits or mnist"]
    (words,) = [line for line in command.source.splitlines() if line.startswith("make ")]
    before, _, given = words.partition(" PARAMS=")
    assert before == "make chapter NAME=tiny"
    assert parameters.split(given.strip('"')) == {"grid_points": "11", "radii": "[0.25,0.5]"}


def test_a_chapter_without_parameters_but_results_says_no_command():
    notebook = page(code('results = "data/results"  # stored results\n', tags=["parameters"]))
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code"]


@pytest.fixture
def exercises(small_site):
    """Build a page with these cells and return its HTML and the cells that a reader takes away."""

    def build(*given):
        path = small_site / "book" / "tiny.ipynb"
        notebook = nbformat.read(path, as_version=4)
        notebook.cells += given
        nbformat.write(notebook, path)
        html = site.build(small_site, executed={"tiny": path})
        taken = nbformat.read(html / "_sources" / "book" / "tiny.ipynb", as_version=4)
        page = (html / "book" / "tiny.html").read_text("utf-8")
        return html5lib.parse(page, namespaceHTMLElements=False), taken

    return build


def words(element):
    return " ".join("".join(element.itertext()).split())


def test_a_page_folds_code_and_solutions(exercises):
    shown = new_output("stream", text="an answer")
    solution = [
        new_code_cell("ask()", metadata={"tags": ["solution"]}, outputs=[shown]),
        new_code_cell("more()", metadata={"tags": ["solution"]}),
    ]
    root, taken = exercises(new_code_cell("draw()"), new_markdown_cell(EXERCISE), *solution)
    folds = root.findall(".//main//details")
    code, solved = folds  # that of the tiny book, which shows nothing, is in the first
    assert "open" not in code.attrib and "draw()" in words(code)
    summary = code.find("summary")
    assert [words(line) for line in summary] == ["Show the code", "Hide the code"]
    assert "aria-label" not in summary.attrib  # its name is what is read
    assert "open" not in solved.attrib and words(solved.find("summary")) == "Solution: Smaller steps"
    assert all(text in words(solved) for text in ("to first order", "ask()", "an answer", "more()"))
    assert solved.find(".//details") is None  # no fold in a fold
    (exercise,) = (one for one in root.iter("div") if "la-exercise" in one.get("class", ""))
    assert words(exercise) == "Exercise: Smaller steps What happens?" and exercise.find(".//em").text == "Smaller"
    tags = [cell.metadata.get("tags") for cell in taken.cells if cell.cell_type == "code"]
    assert ["hide-input"] not in tags  # the notebook is open


def test_a_solution_of_code_that_follows_no_solution_is_refused(exercises):
    with pytest.raises(Exception, match="a code cell tagged 'solution' follows no solution"):
        exercises(new_code_cell("ask()", metadata={"tags": ["solution"]}))
