"""The conformance kit and the probe: what a partner's endpoint does, held to the catalogue."""
