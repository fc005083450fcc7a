"""Values written as overrides of Hydra, and the keys of overrides; light to import."""

from __future__ import annotations

import re


def quoted(value: object) -> str:
    """A text as the value of an override."""
    return "'" + str(value).replace("'", "\\'") + "'"


def key_of(override: str) -> str:
    """The key of an override, without the prefix that adds or removes it."""
    return override.partition("=")[0].lstrip("+~")


def argument(key: str, value: object) -> str:
    """`key=value`, quoted for Hydra's grammar if the value has characters that need it."""
    plain = re.fullmatch(r"[\w./-]+", str(value))
    return f"{key}={value if plain else quoted(value)}"
