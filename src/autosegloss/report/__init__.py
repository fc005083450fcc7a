"""How a search is shown to people: figures, tables and the progress on the console."""

from autosegloss.report.figures import curves_figure, palette, samples_figure, save, search_figure
from autosegloss.report.progress import SearchProgress
from autosegloss.report.table import ComparisonTable, comparison_table

__all__ = [
    "ComparisonTable",
    "SearchProgress",
    "comparison_table",
    "curves_figure",
    "palette",
    "samples_figure",
    "save",
    "search_figure",
]
