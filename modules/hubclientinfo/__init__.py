"""HubClientInfo: who is connected to a hub."""
