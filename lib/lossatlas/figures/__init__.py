"""Figures and tables: surfaces, paths, curves over seeds, claims."""

from lossatlas._text import interval_text, listed, number
from lossatlas.figures.alt_text import describe
from lossatlas.figures.cell_maps import animation, cell_maps
from lossatlas.figures.curves import histograms, loss_curves, profile
from lossatlas.figures.dependence import against
from lossatlas.figures.joining import merge_tree
from lossatlas.figures.measures import dots, scatter
from lossatlas.figures.multiples import profile_panels
from lossatlas.figures.prose import Quantity, amount, percent, say
from lossatlas.figures.provenance import provenance_table
from lossatlas.figures.surfaces import contour, panels, path_over_contours
from lossatlas.figures.tables import Table, claims_table, seeds_table, trends_table
from lossatlas.figures.theme import figure_html
from lossatlas.figures.topology import component_counts, persistence_diagram
from lossatlas.figures.trajectories import path_panels
from lossatlas.geometry import spoken

__all__ = [
    "Quantity",
    "Table",
    "against",
    "amount",
    "animation",
    "cell_maps",
    "claims_table",
    "component_counts",
    "contour",
    "describe",
    "dots",
    "figure_html",
    "histograms",
    "interval_text",
    "listed",
    "loss_curves",
    "merge_tree",
    "number",
    "panels",
    "path_over_contours",
    "path_panels",
    "percent",
    "persistence_diagram",
    "profile",
    "profile_panels",
    "provenance_table",
    "say",
    "scatter",
    "seeds_table",
    "spoken",
    "trends_table",
]
