"""What a hub does with a call: gate, auth, routing, then push, pull or ask."""
