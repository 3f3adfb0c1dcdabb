"""What is remembered of tokens: who knew one, for a while, and nothing else."""

from hub.exchange.token_owners import TokenOwners
from hub.ocpi.types import PartyId

MSA, MSB = PartyId.parse("DE*MSA"), PartyId.parse("FR*MSB")


def test_an_owner_by_type_and_uid_whatever_its_case() -> None:
    owners = TokenOwners()
    owners.learn("RFID", "cafe", MSA)
    owners.learn("APP_USER", "CAFE", MSB)
    assert (owners.get("RFID", "CAFE"), owners.get("APP_USER", "Cafe")) == (MSA, MSB)
    owners.forget("RFID", "Cafe")
    owners.forget("RFID", "NEVER")
    assert owners.get("RFID", "CAFE") is None


def test_the_least_recently_used_goes_first() -> None:
    owners = TokenOwners(capacity=2)
    for uid in ("A", "B"):
        owners.learn("RFID", uid, MSA)
    owners.get("RFID", "A")
    owners.learn("RFID", "C", MSB)
    assert [owners.get("RFID", uid) for uid in "ABC"] == [MSA, None, MSB]
