from datetime import UTC, datetime

from hub.store.alerts import News
from hub.watch import webhook
from hub.watch.kinds import Kind

RAISED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_what_the_webhook_is_told_of_an_alert() -> None:
    news = News(7, "lane_stopped", "Alpha (platform 3)", "HTTP 401:\nno", RAISED, cleared=False, tries=1)
    told = webhook.message(news, "NL*HUB")
    text = told.pop("text")
    assert told == {
        "id": 7,
        "kind": "lane_stopped",
        "severity": "error",
        "subject": "Alpha (platform 3)",
        "state": "raised",
        "detail": "HTTP 401:\nno",
        "advice": Kind.LANE_STOPPED.advice,
        "at": "2026-01-02T03:04:05Z",
        "hub": "NL*HUB",
    }
    assert text.startswith(r"NL*HUB: lane_stopped raised, Alpha (platform 3): HTTP 401:\x0ano. What to do: renew")
    assert len(text.splitlines()) == 1


def test_what_it_is_told_when_the_alert_is_over() -> None:
    news = News(7, "broker_away", "broker", "gone", RAISED, cleared=True, tries=1)
    assert webhook.message(news, "NL*HUB")["state"] == "cleared"
    assert webhook.message(news, "NL*HUB")["text"] == "NL*HUB: broker_away cleared, broker"
