"""Settings of a maker as typed on a command line, such as `patients=12`."""

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
    """Return the settings in words such as `patients=12`, each of the type of its default.

    Raises BadInput for a word without '=', a setting that is unknown or set twice, and a value of
    another type.
    """
    settings = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip()
        if not equals or not name:
            raise BadInput(f"--set {word}: write it as name=value")
        if name in settings:
            raise BadInput(f"--set {word}: '{name}' is set twice, set it once")
        settings[name] = value.strip()
    check_settings(data_set, settings)
    known = inspect.signature(data_set.load().make).parameters
    return {name: _value(name, value, known[name].default) for name, value in settings.items()}


def _value(name: str, value: str, default):
    """Return a value of the default's type; without a default, the Python literal or the text."""
    try:
        return _read(value, type(default))
    except (ValueError, SyntaxError, KeyError):
        raise BadInput(f"--set {name}={value}: expected {KINDS[type(default)]}") from None


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
