"""The tables of a durable store and its statements, the same for SQLite and PostgreSQL."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    true,
    tuple_,
    update,
)

VERSION = 1  # of the schema
BATCH = 100  # credentials that a rotation re-encrypts in one transaction

METADATA = MetaData()
STORE = Table(  # one row
    "flashback_mock_store",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("proof", LargeBinary, nullable=False),  # see `Vault.of_store`
)
# Times are microseconds since 1970.
TOKEN = Table(
    "flashback_mock_token",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("user", Text, nullable=False),
    Column("expires", BigInteger),  # NULL: never
)
MEMBER = Table(
    "flashback_mock_member",
    METADATA,
    Column("workspace", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("access", Text, nullable=False),
)
CONFIGURATION = Table(
    "flashback_mock_configuration",
    METADATA,
    Column("id", LargeBinary, primary_key=True),  # UTF-8; a Text cannot contain U+0000
    Column("workspace", Text, nullable=False),
    Column("name", Text),
    Column("properties", JSON, nullable=False),  # all other fields that are not credentials
    UniqueConstraint("workspace", "name"),
)
# PostgreSQL: one row per field. SQLite: one per field and size, of which one is held. When a row is
# deleted or changes its size, SQLite leaves copies of its neighbors behind, so rows are only added,
# and overwritten in place.
CREDENTIAL = Table(
    "flashback_mock_credential",
    METADATA,
    Column("configuration", LargeBinary, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("size", Integer, primary_key=True),  # in PostgreSQL 0
    Column("held", Boolean, nullable=False),  # false: `sealed` is zeros
    Column("changed", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

_VALID = and_(
    TOKEN.c.digest == bindparam("digest"),
    or_(TOKEN.c.expires.is_(None), TOKEN.c.expires > bindparam("now")),
)
USER = select(TOKEN.c.user).where(_VALID)
FIND = (
    select(STORE.c.proof, TOKEN.c.user, MEMBER.c.access, CONFIGURATION)
    .select_from(
        CONFIGURATION.join(STORE, true())
        .outerjoin(TOKEN, _VALID)
        .outerjoin(
            MEMBER,
            and_(MEMBER.c.workspace == CONFIGURATION.c.workspace, MEMBER.c.user == TOKEN.c.user),
        )
    )
    .where(CONFIGURATION.c.id == bindparam("id"))
)
# The lock on the configuration's row orders all updates of it and of its credentials.
FIND_FOR_UPDATE = FIND.with_for_update(of=CONFIGURATION)
CHANGE = update(CONFIGURATION).where(CONFIGURATION.c.id == bindparam("key"))
DELETE = delete(CONFIGURATION).where(CONFIGURATION.c.id == bindparam("key"))
SHOWN = (
    select(CONFIGURATION, CREDENTIAL.c.field, CREDENTIAL.c.changed)
    .select_from(
        CONFIGURATION.outerjoin(
            CREDENTIAL,
            and_(CREDENTIAL.c.configuration == CONFIGURATION.c.id, CREDENTIAL.c.held),
        )
    )
    .where(CONFIGURATION.c.id == bindparam("id"))
    .order_by(CREDENTIAL.c.field)
)
LISTED = select(CONFIGURATION.c.id, CONFIGURATION.c.workspace).order_by("id").limit(1000)
EXPIRE = update(TOKEN).where(TOKEN.c.digest == bindparam("key"))
REVOKE = delete(TOKEN).where(TOKEN.c.digest == bindparam("key"))

_HELD = (
    select(CREDENTIAL, CONFIGURATION.c.workspace)
    .join(CONFIGURATION, CONFIGURATION.c.id == CREDENTIAL.c.configuration)
    .where(CREDENTIAL.c.held)
)
SEALED = _HELD.where(
    CREDENTIAL.c.configuration == bindparam("id"), CREDENTIAL.c.field == bindparam("field")
)
_PLACE = (CREDENTIAL.c.configuration, CREDENTIAL.c.field, CREDENTIAL.c.size)
_AFTER = tuple_(bindparam("configuration"), bindparam("field"), bindparam("size"))
# The id of the key that sealed it: see `sealing_key_id`.
_OLD = func.substr(CREDENTIAL.c.sealed, 2, 4, type_=LargeBinary) != bindparam("key_id")
OLD_COUNT = select(func.count()).select_from(_HELD.where(_OLD).subquery())
NEXT_OLD = (
    _HELD.where(_OLD, tuple_(*_PLACE) > _AFTER)
    .order_by(*_PLACE)
    .limit(BATCH)
    .with_for_update(of=CONFIGURATION)
)
RESEAL = update(CREDENTIAL).where(
    CREDENTIAL.c.configuration == bindparam("of"),
    CREDENTIAL.c.field == bindparam("named"),
    CREDENTIAL.c.size == bindparam("sized"),
)
