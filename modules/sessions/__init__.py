"""Sessions: charging that is going on."""
