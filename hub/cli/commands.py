"""The commands that use the operator API of a running hub, gathered under one typer app."""

import typer

from hub.cli import (
    agreements,
    alerts,
    backup,
    cdrs,
    chargers,
    config,
    deliveries,
    doctor,
    invitations,
    ledger,
    objects,
    openapi,
    parties,
    peers,
    platforms,
    probe,
    pulls,
    reconcile,
    status,
    trace,
)

app = typer.Typer()
for single in (
    invitations.app,
    trace.app,
    status.app,
    doctor.app,
    alerts.app,
    reconcile.app,
    peers.single,
    probe.app,
    backup.app,
):
    app.add_typer(single)
app.add_typer(invitations.invitations, name="invitation")
app.add_typer(platforms.app, name="platform")
app.add_typer(parties.app, name="party")
app.add_typer(peers.app, name="peer")
app.add_typer(agreements.app, name="agreement")
app.add_typer(objects.locations, name="location")
app.add_typer(objects.tariffs, name="tariff")
app.add_typer(chargers.app, name="charger")
app.add_typer(cdrs.app, name="cdr")
app.add_typer(ledger.app, name="ledger")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(pulls.app, name="pull")
app.add_typer(config.app, name="config")
app.add_typer(openapi.app, name="openapi")
