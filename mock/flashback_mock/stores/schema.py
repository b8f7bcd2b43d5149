"""The tables of a durable store and its statements, the same for SQLite and PostgreSQL."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Table, and_, bindparam, select


class Utf8(sa.TypeDecorator[str]):
    """Text that may contain U+0000, which PostgreSQL's own type for text cannot store."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Any) -> bytes | None:
        return None if value is None else value.encode()

    def process_result_value(self, value: bytes | None, _dialect: Any) -> str | None:
        return None if value is None else value.decode()


METADATA = sa.MetaData()
STORE = Table(  # one row
    "flashback_mock_store",
    METADATA,
    Column("id", sa.Text, primary_key=True),
    Column("key_id", sa.LargeBinary, nullable=False),  # of the master key in use
)
# Times are texts that sort by time: see `timestamp`.
TOKEN = Table(
    "flashback_mock_token",
    METADATA,
    Column("digest", sa.LargeBinary, primary_key=True),
    Column("user", sa.Text, nullable=False),
    Column("expires", sa.Text),  # NULL: never
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
    Column("id", Utf8, primary_key=True),
    Column("workspace", sa.Text, nullable=False),
    Column("name", sa.Text),
    Column("plain", sa.JSON, nullable=False),  # all fields that are not credentials
    sa.UniqueConstraint("workspace", "name"),
)
# A row for each field and size class that was ever used; one row per field is in use. SQLite leaves
# copies of neighboring rows behind when a row is deleted or changes its size. Therefore rows of
# a SQLite store are only added, or overwritten with the same number of bytes.
CREDENTIAL = Table(
    "flashback_mock_credential",
    METADATA,
    Column("configuration", Utf8, primary_key=True),
    Column("field", sa.Text, primary_key=True),
    Column("size", sa.Integer, primary_key=True),
    Column("changed", sa.Text),  # NULL: not in use, and `sealed` is zeros
    Column("sealed", sa.LargeBinary, nullable=False),
)
IN_USE = CREDENTIAL.c.changed.is_not(None)

_VALID = and_(
    TOKEN.c.digest == bindparam("digest"),
    sa.or_(TOKEN.c.expires.is_(None), TOKEN.c.expires > bindparam("now")),
)
_MEMBERSHIP = and_(MEMBER.c.workspace == CONFIGURATION.c.workspace, MEMBER.c.user == TOKEN.c.user)
_CREDENTIALS = and_(CREDENTIAL.c.configuration == CONFIGURATION.c.id, IN_USE)

USER = select(TOKEN.c.user).where(_VALID)
# The lock on the configuration's row orders all updates of the configuration and its credentials.
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
    .outerjoin(CREDENTIAL, _CREDENTIALS)
    .order_by(CREDENTIAL.c.field)
)
# SQLAlchemy reserves the names of columns in an update: these parameters have other names.
CHANGE = sa.update(CONFIGURATION).where(CONFIGURATION.c.id == bindparam("of_id"))
OTHER_SIZES = and_(
    CREDENTIAL.c.configuration == bindparam("of_configuration"),
    CREDENTIAL.c.field == bindparam("of_field"),
    CREDENTIAL.c.size != bindparam("of_size"),
)
