"""`medlab doctor`: what this machine has."""

from medlab.cli.groups import new_group

app = new_group()


@app.command()
def doctor() -> None:
    """Show what this machine has and what is missing."""
    from rich.console import Console

    from medlab.doctor import examine

    print_findings(examine(), Console())


def print_findings(findings, console) -> None:
    """Print the findings to a rich console as a table, and below it what to do."""
    from rich.table import Table

    from medlab.doctor import summarise_findings

    table = Table(title="medlab doctor", title_justify="left")
    for heading in ("what", "found", "state", "note"):
        table.add_column(heading, overflow="fold")
    for before, finding in zip([None, *findings], findings, strict=False):
        if before and before.topic != finding.topic:
            table.add_section()
        table.add_row(finding.name, finding.found or "-", finding.state, finding.note)
    console.print(table)
    console.print(summarise_findings(findings), highlight=False)
