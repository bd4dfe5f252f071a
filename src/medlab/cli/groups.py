"""How every group of commands is set up."""

from typing import Any

import typer


def new_group(*, completion: bool = False, **options: Any) -> typer.Typer:
    """Return an empty group of commands; options are typer's, such as `name` and `help`."""
    return typer.Typer(
        no_args_is_help=True,
        add_completion=completion,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich's help panels would add a third of a second to every start
        **options,
    )
