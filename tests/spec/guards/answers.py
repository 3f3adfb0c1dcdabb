"""Guards of answers: the envelope, status codes and HTTP statuses."""

import pytest

from hub.ocpi import errors
from tests.spec.guard import guard


@guard("TF-145")
def unfit_json_is_http_200(off: pytest.MonkeyPatch) -> None:
    """It is HTTP 400, as most APIs have it."""
    off.setattr(errors.InvalidParameters, "http_status", 400)


@guard("TF-158", "TOK-022")
def an_unknown_token_is_http_404(off: pytest.MonkeyPatch) -> None:
    """It is HTTP 200."""
    off.setattr(errors.UnknownToken, "http_status", 200)


@guard("TF-057", "TF-181", "CRED-026", "CRED-029", "CRED-034")
def methods_not_offered_are_http_405(off: pytest.MonkeyPatch) -> None:
    """They are told in the status code only."""
    off.setattr(errors.MethodNotAllowed, "http_status", 200)


@guard("TF-167")
def faults_of_the_hub_are_http_200(off: pytest.MonkeyPatch) -> None:
    """They are HTTP 502."""
    off.setattr(errors.HubError, "http_status", 502)
