"""Numbers inside sentences."""

import html5lib
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from lossatlas import evidence, figures
from lossatlas.figures import page

VALUES = [0.96, 0.97, 0.98, 0.95, 0.99]


def plain(quantity) -> tuple[str, str]:
    return tuple(text.replace("\N{NO-BREAK SPACE}", " ") for text in (str(quantity), quantity.note))


def test_one_number_has_no_note():
    assert plain(figures.percent(0.314)) == ("31 %", "")
    assert plain(figures.amount(np.float32(2.5), "nats")) == ("2.5 nats", "")
    assert "text/html" not in figures.percent(0.314)._repr_mimebundle_()


def test_seeds_become_their_mean_with_students_interval():
    low, high = stats.t.interval(0.95, 4, np.mean(VALUES), stats.sem(VALUES))
    expected = f"Mean of 5 seeds, 95 % interval {100 * low:.3g} % to {100 * high:.3g} %"
    for values in (VALUES, np.array(VALUES), xr.DataArray(VALUES, dims="seed"), evidence.mean_interval(VALUES)):
        assert plain(figures.percent(values, 3)) == ("97 %", expected)


def test_a_difference_has_that_of_its_bootstrap():
    effect = evidence.difference([1.0, 2.0, 3.0, 4.0, 5.0], [4.0, 5.0, 6.0, 7.0, 8.5])
    text, note = plain(figures.amount(effect, "nats"))
    assert text == "3.1 nats" and note.startswith("Difference of the means of 5 and 5 seeds, 95 % interval ")


def test_a_page_shows_the_number_and_keeps_the_note_in_the_text():
    quantity = figures.Quantity("97 %", "<b>Mean</b> of 5 seeds")
    shown = html5lib.parseFragment(quantity._repr_mimebundle_()["text/html"], namespaceHTMLElements=False)
    assert shown.find("b") is None and "97 %" in "".join(shown.itertext())
    assert quantity._repr_mimebundle_()[page.MEDIA_TYPE]["note"] == quantity.note
    assert quantity._repr_mimebundle_()["text/plain"] == "97 %"


@pytest.mark.parametrize("value", ["97 %", figures.Quantity("97 %")])
def test_say_glues_without_showing(monkeypatch, capsys, value):
    myst_nb, glued = pytest.importorskip("myst_nb"), {}
    monkeypatch.setattr(myst_nb, "glue", lambda name, shown, display: glued.update({name: (str(shown), display)}))
    figures.say(accuracy=value)
    assert glued == {"accuracy": ("97 %", False)} and capsys.readouterr().out == ""
