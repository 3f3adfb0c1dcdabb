"""Each refusal carries its two numbers and a sentence."""

import inspect

import pytest

from hub.ocpi import errors

CODES = {
    errors.ClientError: (2000, 200),
    errors.InvalidParameters: (2001, 200),
    errors.NotEnoughInformation: (2002, 200),
    errors.UnknownLocation: (2003, 200),
    errors.UnknownToken: (2004, 404),
    errors.ServerError: (3000, 200),
    errors.Busy: (3000, 503),
    errors.OverShare: (3000, 429),
    errors.UnableToUseClientApi: (3001, 200),
    errors.UnsupportedVersion: (3002, 200),
    errors.NoMatchingEndpoints: (3003, 200),
    errors.HubError: (4000, 200),
    errors.UnknownReceiver: (4001, 200),
    errors.RequestTimeout: (4002, 200),
    errors.ConnectionProblem: (4003, 200),
    errors.Unauthorized: (2000, 401),
    errors.Suspended: (2000, 403),
    errors.InvalidJson: (2001, 400),
    errors.NotFound: (2003, 404),
    errors.MethodNotAllowed: (2000, 405),
    errors.Conflict: (2000, 409),
    errors.TooLarge: (2001, 413),
}


def test_the_table_is_complete() -> None:
    classes = {member for _, member in inspect.getmembers(errors, inspect.isclass)}
    assert classes == {errors.OcpiError, *CODES}


@pytest.mark.catalogue("TF-145", "TF-158", "TOK-022")
@pytest.mark.parametrize(("error", "numbers"), CODES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_numbers_and_text(error: type[errors.OcpiError], numbers: tuple[int, int]) -> None:
    assert (error.status_code, error.http_status) == numbers
    assert error().message.endswith(".")
    assert str(error("party_id: unknown")) == error("party_id: unknown").message == "party_id: unknown"
