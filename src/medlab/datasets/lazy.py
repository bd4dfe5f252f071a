"""Names of a package that are imported when they are first used."""

import importlib
from collections.abc import Callable


def on_first_use(package: str, **modules: str) -> Callable[[str], object]:
    """Return a package's `__getattr__` that takes each of these names from its module.

    modules: name in the package to submodule, such as `make="making"`. So a unit that only reads
    does not import what makes the stand-in.
    """

    def take(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return take
