"""What is owed to whom, and getting it there: owed state, not queued messages."""
