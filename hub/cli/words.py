"""How the command is called here: messages say `knutpunkt status`, and who calls ./run reads `./run status`. And how
parties are written on the command line."""

import os

import typer

VARIABLE = "KNUTPUNKT"
"""Set by the `run` script to what the user typed."""


def here(text: str) -> str:
    """A message with its commands written so that they can be typed here."""
    return text.replace("`knutpunkt ", f"`{os.environ.get(VARIABLE) or 'knutpunkt'} ")


def role(text: str) -> dict[str, str]:
    """A party with its role, written NL*CPA:CPO, as the operator API takes it."""
    code, colon, name = text.rpartition(":")
    if not colon:
        raise typer.BadParameter("write a party and its role like NL*CPA:CPO", param_hint="CODE:ROLE")
    return {"code": code.upper(), "role": name.upper()}
