"""The tables of a store in PostgreSQL, and what is asked of them."""

from .store import LEVELS

MARK = "flashback-mock"  # the comment of a `store` table that is ours
TABLES = ("store", "token", "member", "configuration", "credential")
# Each script brings the schema one version further, and store.version with it.
MIGRATIONS = (
    f"""
    -- One row; see vault.py for the proof.
    CREATE TABLE store (id text NOT NULL, version integer NOT NULL, proof bytea NOT NULL);
    COMMENT ON TABLE store IS '{MARK}';
    CREATE TABLE token (digest bytea PRIMARY KEY, holder text NOT NULL, expires timestamptz);
    CREATE TABLE member (
        workspace text COLLATE "C", holder text COLLATE "C",
        access text NOT NULL CHECK (access IN {LEVELS}),
        PRIMARY KEY (workspace, holder)
    );
    CREATE TABLE configuration (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id bytea NOT NULL UNIQUE, -- octets: a text has no U+0000
        workspace text COLLATE "C" NOT NULL,
        name text COLLATE "C", -- a column, since it is unique in its workspace
        properties jsonb NOT NULL, -- every other field that is no credential
        UNIQUE (workspace, name)
    );
    CREATE TABLE credential (
        configuration bigint REFERENCES configuration ON DELETE CASCADE,
        field text COLLATE "C", sealed bytea NOT NULL, changed timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (configuration, field)
    );
    """,
)
BATCH = 100  # credentials that are re-encrypted in one transaction
# The row lock of the configuration orders all updates of it, its credentials' included.
UPDATE = """
WITH asked AS (
    SELECT token.holder, number, configuration.workspace, access, proof = $6 AS current
    FROM store CROSS JOIN token LEFT JOIN configuration ON configuration.id = $2
    LEFT JOIN member
    ON member.workspace = configuration.workspace AND member.holder = token.holder
    WHERE digest = $1 AND coalesce(expires > now(), TRUE)
), changed AS (
    UPDATE configuration SET name = coalesce($3, name), properties = properties || $4
    FROM asked WHERE configuration.number = asked.number
    AND current AND access = ANY ($9) AND asked.workspace = $5
    RETURNING configuration.number
), replaced AS (
    INSERT INTO credential
    SELECT number, given.field, given.sealed FROM changed, unnest($7::text[], $8::bytea[])
    AS given (field, sealed)
    ON CONFLICT (configuration, field)
    DO UPDATE SET sealed = excluded.sealed, changed = excluded.changed
)
SELECT *, EXISTS (SELECT FROM changed) AS done FROM asked
"""
USER = "SELECT holder FROM token WHERE digest = $1 AND coalesce(expires > now(), TRUE)"
SHOWN = """
SELECT workspace, name, properties, field, changed
FROM configuration LEFT JOIN credential ON configuration = number WHERE id = $1 ORDER BY field
"""
STORED = """
SELECT sealed, workspace, id, field, number
FROM credential JOIN configuration ON number = configuration
"""
OLD = "substr(sealed, 2, 4) <> $1"  # see `sealed_by`
LEFT = f"SELECT count(*) FROM credential WHERE {OLD}"  # noqa: S608 - our own words
NEXT = f"""{STORED}
WHERE {OLD} AND (number, field) > ($2, $3) ORDER BY number, field
LIMIT {BATCH} FOR UPDATE OF credential
"""
RESEAL = "UPDATE credential SET sealed = $1 WHERE configuration = $2 AND field = $3"
STORE = "SELECT id, proof FROM store"
ADD_BEARER = """
INSERT INTO token VALUES ($1, $2, $3)
ON CONFLICT (digest) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
"""
ADD_MEMBER = """
INSERT INTO member VALUES ($1, $2, $3)
ON CONFLICT (workspace, holder) DO UPDATE SET access = excluded.access
"""
ADD_CONFIGURATION = """
INSERT INTO configuration (id, workspace, name, properties) VALUES ($1, $2, $3, $4)
"""
ADD_CREDENTIAL = "INSERT INTO credential SELECT number, $2, $3 FROM configuration WHERE id = $1"
OURS = """
SELECT count(*), bool_or(obj_description(pg_class.oid, 'pg_class') = $2)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = current_schema() AND relname = ANY ($1)
"""
# A schema's own locks: to change tables or many rows, and, for as long, to rotate its keys.
ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('flashback-mock ' || current_schema(), 0))"
ROTATING = "SELECT pg_try_advisory_lock(hashtextextended('flashback-mock ' || current_schema(), 1))"
