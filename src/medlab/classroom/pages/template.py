"""Self-contained HTML pages: one head for all, nothing loaded, nothing run."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from medlab.text import encodable

TEMPLATES = Path(__file__).parent / "templates"


def page(template: str, **values: object) -> str:
    """Return a page made of one of the templates; text in values is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    style = Markup((TEMPLATES / "feedback.css").read_text(encoding="utf-8"))
    return encodable(environment.get_template(template).render(style=style, **values))
