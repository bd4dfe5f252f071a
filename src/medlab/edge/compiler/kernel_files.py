"""The C text of kernels/: plain files and Jinja templates."""

import functools
from importlib import resources


@functools.cache
def _environment():
    import jinja2

    loader = jinja2.PackageLoader("medlab.edge.compiler", "kernels")
    return jinja2.Environment(loader=loader, keep_trailing_newline=True, autoescape=False)


def template(name: str):
    """Load a Jinja template from kernels/."""
    return _environment().get_template(name)


def kernel(name: str) -> str:
    """Read a kernel's C text."""
    return resources.files("medlab.edge.compiler").joinpath("kernels", name).read_text("utf-8")
