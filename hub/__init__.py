"""Knutpunkt: an OCPI roaming hub. Start reading at `hub.app` (what comes in) and `hub.worker` (what goes out)."""
