"""Settings of a maker as a person types them: `patients=12`, read by the maker's signature."""

import ast
import inspect

from medlab.datasets.cache import check_settings
from medlab.datasets.registry import DataSet
from medlab.errors import BadInput

TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple: "values in brackets, such as (1, 2, 3)",
}


def parse(data_set: DataSet, words: list[str]) -> dict:
    """Return the settings that words such as `patients=12` give, each of its default's type.

    Raises BadInput for a word without '=', a setting given twice or not known, a value of another
    type.
    """
    settings = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip()
        if not equals or not name:
            raise BadInput(f"--set {word}: write it as name=value")
        if name in settings:
            raise BadInput(f"--set {word}: '{name}' is set twice, give it once")
        settings[name] = value.strip()
    check_settings(data_set, settings)
    known = inspect.signature(data_set.load().make).parameters
    return {name: _value(name, value, known[name].default) for name, value in settings.items()}


def _value(name: str, value: str, default):
    """Return a value of the default's type; without a default, whatever Python reads in it."""
    try:
        return _read(value, type(default))
    except (ValueError, SyntaxError, KeyError):
        raise BadInput(f"--set {name}={value}: {KINDS[type(default)]} is expected") from None


def _read(value: str, kind: type):
    if kind is str:
        return value
    if kind is bool:
        return TRUTHS[value.lower()]
    if kind in (int, float):
        return kind(value)
    if kind is tuple:
        return tuple(ast.literal_eval(value if "," in value else f"({value},)"))
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
