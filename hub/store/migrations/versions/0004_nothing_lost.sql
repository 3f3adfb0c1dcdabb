-- Nothing lost. Sections by topic; each says why its tables are as they are.

-- Deliveries: what a receiver answered to a parked object, until it is paid or given up; a platform without short
-- retries; and what the operator gave up, so that nobody misses it later.

ALTER TABLE owed ADD COLUMN sample TEXT;
ALTER TABLE platform ADD COLUMN short_retry BOOLEAN DEFAULT true NOT NULL;

CREATE TABLE discard (
    receiver VARCHAR NOT NULL,
    owner VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    why TEXT NOT NULL,
    who VARCHAR NOT NULL,
    refusal TEXT,
    tries INTEGER NOT NULL,
    correlation_id VARCHAR NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (receiver, owner, module, key)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON discard TO knutpunkt_app;

-- The ledger's chain. Each entry has a number and the hash of the entry before it, per owner; hub/store/chain.py says
-- what the hash is made of. The database makes it: so whoever enters a CDR does so in a chain, the release before this
-- one included, which goes on while this runs. The row of the head is the lock of the chain; the application can read
-- it, and only an entry moves it. Entries of earlier releases are chained here, in the order in which they came: some
-- 80 s of CPU for a million, in which new CDRs wait.
-- An INSERT ... ON CONFLICT DO NOTHING into cdr would leave a gap: the trigger has numbered what is then not entered.

CREATE TABLE ledger_head (
    owner VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    prev BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (owner)
) WITH (fillfactor = 50);

ALTER TABLE cdr ADD COLUMN number BIGINT, ADD COLUMN prev BYTEA, ADD COLUMN entry_hash BYTEA;

CREATE FUNCTION ledger_hash(number bigint, prev bytea, entry cdr) RETURNS bytea LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN sha256(convert_to(json_build_array(
        'knutpunkt cdr 1', number, encode(prev, 'hex'), entry.seq, entry.owner, entry.key, entry.public_id, entry.receiver,
        encode(entry.hash, 'hex'), entry.session_key, entry.credit_of, entry.currency,
        entry.total_energy::text, entry.total_excl_vat::text, entry.total_incl_vat::text,
        (extract(epoch FROM entry.start_date_time) * 1000000)::bigint,
        (extract(epoch FROM entry.end_date_time) * 1000000)::bigint,
        (extract(epoch FROM entry.last_updated) * 1000000)::bigint,
        (extract(epoch FROM entry.recorded_at) * 1000000)::bigint, entry.findings)::text, 'UTF8'));
END $$;

DROP INDEX ix_cdr_owner, ix_cdr_receiver, cdr_session, cdr_credit;

DO $$
DECLARE
    entry cdr;
    before cdr;
BEGIN
    FOR entry IN SELECT * FROM cdr ORDER BY owner, seq LOOP
        entry.number := CASE WHEN before.owner = entry.owner THEN before.number ELSE 0 END + 1;
        entry.prev := CASE WHEN entry.number = 1 THEN sha256('') ELSE before.entry_hash END;
        entry.entry_hash := ledger_hash(entry.number, entry.prev, entry);
        UPDATE cdr SET number = entry.number, prev = entry.prev, entry_hash = entry.entry_hash WHERE seq = entry.seq;
        before := entry;
    END LOOP;
END $$;

CREATE INDEX ix_cdr_receiver ON cdr (receiver);
CREATE INDEX cdr_session ON cdr (owner, session_key) WHERE session_key IS NOT NULL;
CREATE INDEX cdr_credit ON cdr (owner, credit_of) WHERE credit_of IS NOT NULL;

INSERT INTO ledger_head (owner, number, prev, hash)
    SELECT DISTINCT ON (owner) owner, number, prev, entry_hash FROM cdr ORDER BY owner, number DESC;

ALTER TABLE cdr
    ALTER COLUMN number SET NOT NULL, ALTER COLUMN prev SET NOT NULL, ALTER COLUMN entry_hash SET NOT NULL,
    ADD CONSTRAINT cdr_number UNIQUE (owner, number);

CREATE FUNCTION chain_cdr() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    LOOP
        UPDATE ledger_head SET number = number + 1, prev = hash, hash = ledger_hash(number + 1, hash, NEW)
            WHERE owner = NEW.owner RETURNING number, prev, hash INTO NEW.number, NEW.prev, NEW.entry_hash;
        EXIT WHEN FOUND;
        INSERT INTO ledger_head (owner, number, prev, hash) VALUES (NEW.owner, 0, '', sha256('')) ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN NEW;
END $$;

CREATE TRIGGER cdr_chained BEFORE INSERT ON cdr FOR EACH ROW EXECUTE FUNCTION chain_cdr();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger only grows: % of % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER cdr_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON cdr
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_head_stays BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ledger_head
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_change();

GRANT SELECT ON ledger_head TO knutpunkt_app;
REVOKE ALL ON FUNCTION chain_cdr() FROM PUBLIC;

-- CDRs that were refused because their id is taken: who tried, for the operator to see. No body, no token.

CREATE TABLE cdr_conflict (
    owner VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    receiver VARCHAR NOT NULL,
    hash BYTEA NOT NULL,
    reason TEXT NOT NULL,
    times INTEGER DEFAULT '1' NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (owner, key, receiver, hash)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON cdr_conflict TO knutpunkt_app;

-- Backups: when they began, so that a restored database knows from when on something may be missing. And what a
-- restored hub does once its worker runs: these lists are pulled first, then their owners' objects are delivered.

CREATE TABLE backup (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    begun_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    version VARCHAR NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id)
);

CREATE TABLE restored_list (
    party VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    asked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (party, module)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON backup, restored_list TO knutpunkt_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO knutpunkt_app;

-- Reconciliation: a run looks at one day, for one partner or for all; `reconciled` is what it counted, `gap` what was
-- not where it belongs, until a later run finds it there.

CREATE TABLE reconciliation (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    day DATE NOT NULL,
    partner VARCHAR,
    sample INTEGER NOT NULL,
    repair BOOLEAN NOT NULL,
    nightly BOOLEAN NOT NULL,
    correlation_id VARCHAR NOT NULL,
    asked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    error TEXT,
    claim VARCHAR,
    held_until TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id)
);

CREATE UNIQUE INDEX reconciliation_nightly ON reconciliation (day) WHERE nightly;
CREATE INDEX reconciliation_open ON reconciliation (id) WHERE ended_at IS NULL;

CREATE TABLE reconciled (
    run BIGINT NOT NULL,
    partner VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    acknowledged INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    owed INTEGER NOT NULL,
    parked INTEGER NOT NULL,
    discarded INTEGER NOT NULL,
    checked INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    older INTEGER NOT NULL,
    different INTEGER NOT NULL,
    note TEXT,
    PRIMARY KEY (run, partner, module),
    FOREIGN KEY(run) REFERENCES reconciliation (id) ON DELETE CASCADE
);

CREATE TABLE gap (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    partner VARCHAR NOT NULL,
    owner VARCHAR NOT NULL,
    module VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    detail TEXT NOT NULL,
    day DATE NOT NULL,
    run BIGINT NOT NULL,
    found_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE,
    cleared_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id)
);

CREATE UNIQUE INDEX gap_open ON gap (partner, owner, module, key) WHERE cleared_at IS NULL;
CREATE INDEX gap_run ON gap (run);

GRANT SELECT, INSERT, UPDATE, DELETE ON reconciliation, reconciled, gap TO knutpunkt_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO knutpunkt_app;

-- Pages: the same rule in an order that asks for the party only where a row is not for everybody. The old one read the
-- setting three times for each row of a list, a fifth of all that a page cost here.
ALTER POLICY own_view ON object USING (
    audience = '*' OR current_setting('hub.party', true) IN ('*', owner, audience));
