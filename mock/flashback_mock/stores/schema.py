"""The tables of a durable store and its statements, the same for SQLite and PostgreSQL."""

import sqlalchemy as sa
from sqlalchemy import Column, Table, and_, bindparam, func, select

VERSION = 1  # of the schema

METADATA = sa.MetaData()
STORE = Table(  # one row
    "flashback_mock_store",
    METADATA,
    Column("id", sa.Text, primary_key=True),
    Column("version", sa.Integer, nullable=False),
    Column("key_id", sa.LargeBinary, nullable=False),  # of the master key that seals
)
# Times are microseconds since 1970.
TOKEN = Table(
    "flashback_mock_token",
    METADATA,
    Column("digest", sa.LargeBinary, primary_key=True),
    Column("user", sa.Text, nullable=False),
    Column("expires", sa.BigInteger),  # NULL: never
)
MEMBER = Table(
    "flashback_mock_member",
    METADATA,
    Column("workspace", sa.Text, primary_key=True),
    Column("user", sa.Text, primary_key=True),
    Column("access", sa.Text, nullable=False),
)
CONFIGURATION = Table(
    "flashback_mock_configuration",
    METADATA,
    Column("id", sa.LargeBinary, primary_key=True),  # UTF-8; a Text cannot contain U+0000
    Column("workspace", sa.Text, nullable=False),
    Column("name", sa.Text),
    Column("properties", sa.JSON, nullable=False),  # all other fields that are not credentials
    sa.UniqueConstraint("workspace", "name"),
)
# PostgreSQL: one row per field, of size 0. SQLite: one per field and size, of which one is held.
# When a row is deleted or changes its size, SQLite leaves copies of its neighbors behind, so rows
# are only added, and overwritten in place.
CREDENTIAL = Table(
    "flashback_mock_credential",
    METADATA,
    Column("configuration", sa.LargeBinary, primary_key=True),
    Column("field", sa.Text, primary_key=True),
    Column("size", sa.Integer, primary_key=True),
    Column("held", sa.Boolean, nullable=False),  # false: `sealed` is zeros
    Column("changed", sa.BigInteger, nullable=False),
    Column("sealed", sa.LargeBinary, nullable=False),
)

# What runs for each request or credential is built once. A parameter that is not also a column is
# called `of_…`: SQLAlchemy reserves the columns' names.
_VALID = and_(
    TOKEN.c.digest == bindparam("digest"),
    sa.or_(TOKEN.c.expires.is_(None), TOKEN.c.expires > bindparam("now")),
)
USER = select(TOKEN.c.user).where(_VALID)
_MEMBERSHIP = and_(MEMBER.c.workspace == CONFIGURATION.c.workspace, MEMBER.c.user == TOKEN.c.user)
FIND = (
    select(STORE.c.key_id, TOKEN.c.user, MEMBER.c.access, CONFIGURATION)
    .join_from(CONFIGURATION, STORE, sa.true())
    .outerjoin(TOKEN, _VALID)
    .outerjoin(MEMBER, _MEMBERSHIP)
    .where(CONFIGURATION.c.id == bindparam("id"))
)
# The lock on the configuration's row orders all updates of it and of its credentials.
FIND_FOR_UPDATE = FIND.with_for_update(of=CONFIGURATION)
CHANGE = sa.update(CONFIGURATION).where(CONFIGURATION.c.id == bindparam("of_id"))
EMPTY = (  # in SQLite, instead of a delete
    sa.update(CREDENTIAL)
    .where(CREDENTIAL.c.held)
    .values(held=sa.false(), sealed=func.zeroblob(CREDENTIAL.c.size))
)
_OF_FIELD = and_(
    CREDENTIAL.c.configuration == bindparam("of_configuration"),
    CREDENTIAL.c.field == bindparam("of_field"),
)
EMPTY_OTHER_SIZES = EMPTY.where(_OF_FIELD, CREDENTIAL.c.size != bindparam("of_size"))
RESEAL = sa.update(CREDENTIAL).where(_OF_FIELD, CREDENTIAL.c.size == bindparam("of_size"))

# In PostgreSQL: one lock for each schema of the database.
LOCK = select(
    func.pg_advisory_xact_lock(func.hashtextextended("flashback-mock " + func.current_schema(), 0))
)

_HELD = and_(CREDENTIAL.c.configuration == CONFIGURATION.c.id, CREDENTIAL.c.held)
SHOWN = (
    select(CONFIGURATION, CREDENTIAL.c.field, CREDENTIAL.c.changed)
    .join_from(CONFIGURATION, CREDENTIAL, _HELD, isouter=True)
    .order_by(CREDENTIAL.c.field)
)
SEALED = select(CREDENTIAL, CONFIGURATION.c.workspace).join_from(CREDENTIAL, CONFIGURATION, _HELD)
PLACE = (CREDENTIAL.c.configuration, CREDENTIAL.c.field, CREDENTIAL.c.size)
# The id of the key that sealed a credential: see `sealing_key_id`.
KEY_ID = func.substr(CREDENTIAL.c.sealed, 2, 4, type_=sa.LargeBinary)
