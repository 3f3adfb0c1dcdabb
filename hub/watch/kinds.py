"""The kinds of alerts: what each is called, how bad it is, and what an operator can do about it."""

from enum import StrEnum


class Kind(StrEnum):
    """What can be the matter. The value stands in the database, in the metrics and in what the webhook is told."""

    LANE_STOPPED = "lane_stopped"
    OBJECT_PARKED = "object_parked"
    PARTNER_SILENT = "partner_silent"
    CREDENTIALS_LAPSE = "credentials_lapse"
    CERTIFICATE_EXPIRES = "certificate_expires"
    STAMPING_BEHIND = "stamping_behind"
    SWEEP_BEHIND = "sweep_behind"
    DATABASE_NEARLY_FULL = "database_nearly_full"
    PROCESS_GONE = "process_gone"
    BROKER_AWAY = "broker_away"
    OVERLOADED = "overloaded"
    CDR_HELD = "cdr_held"
    RECONCILIATION_GAP = "reconciliation_gap"

    @property
    def advice(self) -> str:
        """What to do, in one line."""
        return _ADVICE[self]

    @property
    def severity(self) -> str:
        """`error` when something is not delivered or soon will not be, else `warning`."""
        return "warning" if self in _WARNINGS else "error"


_WARNINGS = frozenset(
    {Kind.PARTNER_SILENT, Kind.CREDENTIALS_LAPSE, Kind.CERTIFICATE_EXPIRES, Kind.BROKER_AWAY, Kind.PROCESS_GONE}
)

_ADVICE = {
    Kind.LANE_STOPPED: "renew the credentials with this partner: it must PUT or POST them anew, or be invited again; "
    "deliveries then go on by themselves",
    Kind.OBJECT_PARKED: "`knutpunkt deliveries list --parked` shows all of them and why; have the owner correct the "
    "object, and its next push is delivered by itself; if the receiver was at fault, `knutpunkt deliveries replay`",
    Kind.PARTNER_SILENT: "ask the partner whether its back end runs; the hub goes on asking, and delivers what it "
    "missed once it answers",
    Kind.CREDENTIALS_LAPSE: "remind the partner to register, or invite it anew: `knutpunkt invite`; one that did not "
    "switch must store the token that PUT credentials brings, then `knutpunkt platform rotate` again",
    Kind.CERTIFICATE_EXPIRES: "renew the certificate; if it is a partner's, tell the partner",
    Kind.STAMPING_BEHIND: "look at the logs of the workers and at long locks in PostgreSQL: nothing new is delivered",
    Kind.SWEEP_BEHIND: "start a worker, or look at the logs of the workers: deliveries wait, nothing is lost",
    Kind.DATABASE_NEARLY_FULL: "give the database more room, or keep the message log for fewer days "
    "(HUB_MESSAGE_RETENTION); a full disk stops the hub",
    Kind.PROCESS_GONE: "look at its last log lines and start it again",
    Kind.BROKER_AWAY: "start Redis (or the broker of HUB_BROKER_URL); until then deliveries begin up to a second later",
    Kind.OVERLOADED: "partners are told to come again (HTTP 429 and 503): start another API process, or look in "
    "knutpunkt_requests_shed at /metrics for who sends that much",
    Kind.RECONCILIATION_GAP: "`knutpunkt reconcile --last` shows what is missing where; `knutpunkt reconcile --repair` "
    "sends it anew, and the alert ends when a later run finds it",
    Kind.CDR_HELD: "look at `knutpunkt cdr list --state held` and put right what the reason names",
}
