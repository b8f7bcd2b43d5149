"""The tables of a durable store and its statements, the same for SQLite and PostgreSQL."""

import sqlalchemy as sa
from sqlalchemy import Column, Table, and_, bindparam, select

METADATA = sa.MetaData()
STORE = Table(  # one row
    "flashback_mock_store",
    METADATA,
    Column("id", sa.Text, primary_key=True),
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
    Column("plain", sa.JSON, nullable=False),  # all fields that are not credentials
    sa.UniqueConstraint("workspace", "name"),
)
# One row per field and size class, one of them in use. When a row is deleted or changes its size,
# SQLite leaves copies of its neighbors behind, so there rows are only added, and overwritten in
# place.
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

_VALID = and_(
    TOKEN.c.digest == bindparam("digest"),
    sa.or_(TOKEN.c.expires.is_(None), TOKEN.c.expires > bindparam("now")),
)
_MEMBERSHIP = and_(MEMBER.c.workspace == CONFIGURATION.c.workspace, MEMBER.c.user == TOKEN.c.user)
_HELD = and_(CREDENTIAL.c.configuration == CONFIGURATION.c.id, CREDENTIAL.c.held)

USER = select(TOKEN.c.user).where(_VALID)
# The lock on the configuration's row orders all updates of it and of its credentials.
FIND = (
    select(STORE.c.key_id, TOKEN.c.user, MEMBER.c.access, CONFIGURATION)
    .join_from(CONFIGURATION, STORE, sa.true())
    .outerjoin(TOKEN, _VALID)
    .outerjoin(MEMBER, _MEMBERSHIP)
    .where(CONFIGURATION.c.id == bindparam("id"))
    .with_for_update(of=CONFIGURATION)
)
STORED = (
    select(STORE.c.key_id, CONFIGURATION, CREDENTIAL)
    .join_from(CONFIGURATION, STORE, sa.true())
    .outerjoin(CREDENTIAL, _HELD)
    .order_by(CREDENTIAL.c.field)
)
# SQLAlchemy reserves the names of columns in an update: these parameters have other names.
CHANGE = sa.update(CONFIGURATION).where(CONFIGURATION.c.id == bindparam("of_id"))
OTHER_SIZES = and_(
    CREDENTIAL.c.configuration == bindparam("of_configuration"),
    CREDENTIAL.c.field == bindparam("of_field"),
    CREDENTIAL.c.size != bindparam("of_size"),
)
