"""What the hub remembers: PostgreSQL tables beside their queries."""
