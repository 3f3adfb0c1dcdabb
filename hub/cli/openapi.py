"""`knutpunkt openapi`: the OpenAPI documents and a Postman collection, for partners and for programs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hub.settings import CHECKOUT, OperatorError, Settings, reason

app = typer.Typer(help="The OpenAPI documents of both sides.", no_args_is_help=True)


@app.command()
def export(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to.", show_default="openapi in the checkout", file_okay=False)
    ] = CHECKOUT / "openapi",
) -> None:
    """Write ocpi.json, operator.json and a Postman collection of both. No hub is needed.

    A running hub shows the operator's document at /api/v1/openapi.json.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in documents().items():
            (directory / name).write_text(content, encoding="utf-8")
            typer.echo(directory / name)
    except OSError as error:
        raise OperatorError(f"{directory} cannot be written: {reason(error)}: choose another directory") from None


def documents() -> dict[str, str]:
    """The documents of this release, by file name."""
    from hub import app
    from hub.openapi import ocpi, operator, postman

    partners = ocpi.describe(app.OCPI_ROUTES)
    operators = operator.describe(app.create_app(Settings.model_construct()))
    found = {
        "ocpi.json": partners,
        "operator.json": operators,
        "knutpunkt.postman_collection.json": postman.collection(partners, operators),
    }
    return {name: json.dumps(value, indent=2, ensure_ascii=False) + "\n" for name, value in found.items()}
