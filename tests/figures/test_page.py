"""What a page shows is plain data; one template a kind makes its HTML."""

import copy
import json

import html5lib
import matplotlib.figure
import numpy as np
import pytest
import xarray as xr

from lossatlas import figures
from lossatlas.figures import page

HOSTILE = "<script>alert('x')</script> & \"quoted\" 'single' </figure>"


def tree(html):
    """The elements of a piece of HTML, as a browser would read it."""
    return html5lib.parseFragment(html, namespaceHTMLElements=False)


def drawn(width=4.0, **options):
    figure = matplotlib.figure.Figure(figsize=(width, 3))
    figure.subplots().plot([1, 2])
    return figures.figure_html(figure, **{"alt": "A line", **options})


def test_text_of_any_kind_stays_text():
    root = tree(drawn(alt=HOSTILE, caption=HOSTILE)._repr_html_())
    assert [one.tag for one in root.iter()] == ["DOCUMENT_FRAGMENT", "figure", "img", "figcaption"]
    assert root.find("figure/img").get("alt") == HOSTILE
    assert root.find("figure/figcaption").text.strip() == HOSTILE

    table = figures.Table((HOSTILE, "b"), (((HOSTILE, HOSTILE), HOSTILE),), classes=(HOSTILE,))
    root = tree(table._repr_html_())
    assert not root.findall(".//script") and len(root.findall(".//td")) == 1
    assert root.find(".//tbody/tr").get("class") == HOSTILE
    assert root.find(".//small").text == HOSTILE == root.find(".//thead/tr/th").text


def test_a_bundle_survives_as_json_and_makes_the_same_page():
    axis = np.linspace(-1, 1, 5)
    surface = xr.Dataset(
        {"loss": (("alpha", "beta"), 1 + np.add.outer(axis**2, axis**2))}, {"alpha": axis, "beta": axis}
    )
    records = [{"condition": "a", "seed": seed, "m": np.float32(seed)} for seed in range(3)]
    for shown in (figures.contour(surface), drawn(caption="x"), figures.seeds_table(records, measures=["m"])):
        outputs = shown._repr_mimebundle_()
        assert set(outputs) == {"text/html", page.MEDIA_TYPE}
        bundle = json.loads(json.dumps(outputs[page.MEDIA_TYPE], allow_nan=False))
        assert page.render(bundle) == outputs["text/html"]


def test_a_page_leads_to_files_once_assets_are_written():
    axis = np.linspace(-1, 1, 5)
    surface = xr.Dataset(
        {"loss": (("alpha", "beta"), 1 + np.add.outer(axis**2, axis**2))}, {"alpha": axis, "beta": axis}
    )
    bundle = copy.deepcopy(figures.contour(surface)._repr_mimebundle_()[page.MEDIA_TYPE])
    kinds = []
    for number, asset in enumerate(page.assets(bundle)):
        kinds.append((asset["media"], page.content(asset)[:4]))
        del asset["data"]
        asset["src"] = f"../files/{number}?a&b"
    assert kinds == [("image/png", b"\x89PNG"), ("application/x-netcdf", b"\x89HDF")]
    assert list(page.assets(bundle)) == []
    root = tree(page.render(bundle))
    assert root.find("figure/img").get("src") == "../files/0?a&b"
    assert root.find(".//a").get("href") == "../files/1?a&b"
    assert root.find(".//a").get("download").endswith(".nc")


def test_what_was_made_may_lead_somewhere():
    bundle = drawn().bundle | {"made": {"Measured on": {"text": "results below", "href": "#here"}, "Took": "1 s"}}
    root = tree(page.render(bundle))
    assert root.find(".//dd/a").get("href") == "#here" and root.find(".//dd/a").text == "results below"
    assert [one.text for one in root.findall(".//dt")] == ["Measured on", "Took"]


def test_a_wide_figure_scrolls_in_its_box_and_a_narrow_one_has_none():
    assert tree(drawn(6.0)._repr_html_()).find("figure/div") is None
    box = tree(drawn(9.0)._repr_html_()).find("figure/div[@class='la-scroll']")
    assert "min-width: 630px" in box.find("img").get("style") and "overflow-x: auto" in box.get("style")


@pytest.mark.parametrize("bundle", [{}, {"kind": "poem"}, {"kind": "../figure"}, {"kind": None}])
def test_a_kind_without_a_template_is_refused(bundle):
    with pytest.raises(ValueError, match=r"no template exists for kind="):
        page.render(bundle)


def test_digests_tell_values_apart():
    assert page.digest({"a": [1, 2]}) != page.digest({"a": [1, 3]})
    assert page.digest({"a": 1, "b": 2}) == page.digest({"b": 2, "a": 1})
    assert page.digest(b"x") != page.digest(b"y")
