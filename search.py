"""Search the loss for a metric: python search.py metric=miou"""

from autosegloss.cli.program import search

if __name__ == "__main__":
    search()
