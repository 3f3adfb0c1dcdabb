"""The first schema: tables, the application role, row-level security."""

from alembic import op

from hub.store.tables import METADATA

revision = "0001"
down_revision = None

ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'knutpunkt_app') THEN
        CREATE ROLE knutpunkt_app NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of this cluster was faster
END $$;
"""
GRANTS = """
GRANT knutpunkt_app TO CURRENT_USER;
GRANT USAGE ON SCHEMA public TO knutpunkt_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO knutpunkt_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO knutpunkt_app;
REVOKE UPDATE, DELETE ON cdr FROM knutpunkt_app;
"""
SECURITY = """
ALTER TABLE object ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_view ON object TO knutpunkt_app USING (
    current_setting('hub.party', true) = '*'
    OR owner = current_setting('hub.party', true)
    OR audience IN ('*', current_setting('hub.party', true)))
    WITH CHECK (current_setting('hub.party', true) IN ('*', owner));
ALTER TABLE cdr ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_cdrs ON cdr TO knutpunkt_app USING (
    current_setting('hub.party', true) = '*'
    OR owner = current_setting('hub.party', true)
    OR receiver = current_setting('hub.party', true))
    WITH CHECK (current_setting('hub.party', true) IN ('*', owner));
"""
FIRST_ROWS = """
INSERT INTO counter (name, value) VALUES ('directory', 1);
INSERT INTO log_head (shard) VALUES (0);
INSERT INTO platform (name, hosted, status, resync, token_form, strict) VALUES
    ('hosted by this hub', true, 'CONNECTED', 'push', 'base64', false);
"""


def upgrade() -> None:
    """Everything at once: there is no earlier release to come from."""
    METADATA.create_all(op.get_bind())
    for part in (ROLE, GRANTS, SECURITY, FIRST_ROWS):
        op.execute(part)
