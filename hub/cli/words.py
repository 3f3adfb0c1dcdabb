"""How the command is called here: messages say `knutpunkt status`, and who calls ./run reads `./run status`."""

import os

VARIABLE = "KNUTPUNKT"
"""Set by the `run` script to what the user typed."""


def here(text: str) -> str:
    """A message with its commands written so that they can be typed here."""
    return text.replace("`knutpunkt ", f"`{os.environ.get(VARIABLE) or 'knutpunkt'} ")
