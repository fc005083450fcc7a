"""A fault that is put into a copy of the source."""

from typing import NamedTuple


class Mutation(NamedTuple):
    """A fault: the text `before`, which the source has exactly once, becomes `after`; one of the tests must fail."""

    fault: str
    before: str
    after: str
    tests: tuple[str, ...]
