"""The tables of a durable store and its statements, the same for SQLite and PostgreSQL."""

import sqlalchemy as sa
from sqlalchemy import Column, Table, and_, bindparam, func, select

VERSION = 1  # of the schema
BATCH = 100  # credentials that a rotation re-encrypts in one transaction

METADATA = sa.MetaData()
STORE = Table(  # one row
    "flashback_mock_store",
    METADATA,
    Column("id", sa.Text, primary_key=True),
    Column("version", sa.Integer, nullable=False),
    Column("proof", sa.LargeBinary, nullable=False),  # see `Vault.of_store`
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

# A parameter that is not also a column is called `of_…`: SQLAlchemy reserves the columns' names.
_VALID = and_(
    TOKEN.c.digest == bindparam("digest"),
    sa.or_(TOKEN.c.expires.is_(None), TOKEN.c.expires > bindparam("now")),
)
USER = select(TOKEN.c.user).where(_VALID)
EXPIRE = sa.update(TOKEN).where(TOKEN.c.digest == bindparam("of_digest"))
REVOKE = sa.delete(TOKEN).where(TOKEN.c.digest == bindparam("of_digest"))

_MEMBERSHIP = and_(MEMBER.c.workspace == CONFIGURATION.c.workspace, MEMBER.c.user == TOKEN.c.user)
FIND = (
    select(STORE.c.proof, TOKEN.c.user, MEMBER.c.access, CONFIGURATION)
    .join_from(CONFIGURATION, STORE, sa.true())
    .outerjoin(TOKEN, _VALID)
    .outerjoin(MEMBER, _MEMBERSHIP)
    .where(CONFIGURATION.c.id == bindparam("id"))
)
# The lock on the configuration's row orders all updates of it and of its credentials.
FIND_FOR_UPDATE = FIND.with_for_update(of=CONFIGURATION)
CHANGE = sa.update(CONFIGURATION).where(CONFIGURATION.c.id == bindparam("of_id"))
DELETE = sa.delete(CONFIGURATION).where(CONFIGURATION.c.id == bindparam("of_id"))
LISTED = select(CONFIGURATION.c.id, CONFIGURATION.c.workspace).order_by("id").limit(1000)

_HELD = and_(CREDENTIAL.c.configuration == CONFIGURATION.c.id, CREDENTIAL.c.held)
SHOWN = (
    select(CONFIGURATION, CREDENTIAL.c.field, CREDENTIAL.c.changed)
    .join_from(CONFIGURATION, CREDENTIAL, _HELD, isouter=True)
    .where(CONFIGURATION.c.id == bindparam("id"))
    .order_by(CREDENTIAL.c.field)
)
_SEALED = select(CREDENTIAL, CONFIGURATION.c.workspace).join_from(CREDENTIAL, CONFIGURATION, _HELD)
SEALED = _SEALED.where(
    CONFIGURATION.c.id == bindparam("id"), CREDENTIAL.c.field == bindparam("field")
)

_OF_CONFIGURATION = CREDENTIAL.c.configuration == bindparam("of_configuration")
_OF_FIELD = and_(_OF_CONFIGURATION, CREDENTIAL.c.field == bindparam("of_field"))
RESEAL = sa.update(CREDENTIAL).where(_OF_FIELD, CREDENTIAL.c.size == bindparam("of_size"))
ERASE = sa.delete(CREDENTIAL).where(_OF_CONFIGURATION)
EMPTY = (  # in SQLite, in place of `ERASE`
    sa.update(CREDENTIAL)
    .where(_OF_CONFIGURATION, CREDENTIAL.c.held)
    .values(held=sa.false(), sealed=func.zeroblob(CREDENTIAL.c.size))
)
EMPTY_OTHERS = EMPTY.where(_OF_FIELD, CREDENTIAL.c.size != bindparam("of_size"))

# The id of the key that sealed it: see `sealing_key_id`.
_OLD = func.substr(CREDENTIAL.c.sealed, 2, 4, type_=sa.LargeBinary) != bindparam("key_id")
_PLACE = (CREDENTIAL.c.configuration, CREDENTIAL.c.field, CREDENTIAL.c.size)
_AFTER = sa.tuple_(bindparam("configuration"), bindparam("field"), bindparam("size"))
OLD_COUNT = select(func.count()).select_from(_SEALED.where(_OLD).subquery())
NEXT_OLD = (
    _SEALED.where(_OLD, sa.tuple_(*_PLACE) > _AFTER)
    .order_by(*_PLACE)
    .limit(BATCH)
    .with_for_update(of=CONFIGURATION)
)
