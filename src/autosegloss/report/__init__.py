"""Reports of searches and runs: figures, tables, and the progress on the console."""

from autosegloss.report.comparison import comparison_table
from autosegloss.report.figures import curves_figure, samples_figure, save, search_figure
from autosegloss.report.palette import class_legend, colour_labels, colour_layers, legend_rows, palette
from autosegloss.report.progress import SearchProgress
from autosegloss.report.text_table import TextTable

__all__ = [
    "SearchProgress",
    "TextTable",
    "class_legend",
    "colour_labels",
    "colour_layers",
    "comparison_table",
    "curves_figure",
    "legend_rows",
    "palette",
    "samples_figure",
    "save",
    "search_figure",
]
