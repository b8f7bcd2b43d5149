"""Tables and SQL statements for the durable stores, shared by SQLite and PostgreSQL."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Table, and_, bindparam, select


class Utf8(sa.TypeDecorator[str]):
    """A column type for text that can contain U+0000, which PostgreSQL's text type cannot store."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Any) -> bytes:
        return (value or "").encode()

    def process_result_value(self, value: bytes | None, _dialect: Any) -> str:
        return (value or b"").decode()


METADATA = sa.MetaData()
STORE = Table(  # this table contains exactly one row
    "flashback_mock_store",
    METADATA,
    Column("id", sa.Text, primary_key=True),
    Column("key_id", sa.LargeBinary, nullable=False),  # the id of the current master key
)
TOKEN = Table(
    "flashback_mock_token",
    METADATA,
    Column("digest", sa.LargeBinary, primary_key=True),
    Column("user", sa.Text, nullable=False),
    Column("expires", sa.Double),  # a Unix timestamp, or NULL if the token never expires
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
    Column("plain", sa.JSON, nullable=False),  # all fields except credentials
    sa.UniqueConstraint("workspace", "name"),
)
# In SQLite, a credential has one row for each size class in which it has ever been stored.
# Only one of these rows is in use.
# When a row is deleted or changes size, SQLite can leave copies of neighboring rows behind.
# A store in SQLite therefore only adds rows, or overwrites them without changing their size.
CREDENTIAL = Table(
    "flashback_mock_credential",
    METADATA,
    Column("configuration", Utf8, primary_key=True),
    Column("field", sa.Text, primary_key=True),
    Column("size", sa.Integer, primary_key=True),
    Column("in_use", sa.Boolean, nullable=False),
    Column("sealed", sa.LargeBinary, nullable=False),  # contains zeros if the row is not in use
)

USER = select(TOKEN.c.user).where(
    TOKEN.c.digest == bindparam("digest"),
    sa.or_(TOKEN.c.expires.is_(None), TOKEN.c.expires > bindparam("now")),
)
# The lock on the configuration's row serializes updates to the configuration and its credentials.
FIND = (
    select(STORE.c.key_id, MEMBER.c.access, CONFIGURATION)
    .join_from(CONFIGURATION, STORE, sa.true())
    .outerjoin(
        MEMBER,
        and_(MEMBER.c.workspace == CONFIGURATION.c.workspace, MEMBER.c.user == bindparam("user")),
    )
    .where(CONFIGURATION.c.id == bindparam("id"))
    .with_for_update(of=CONFIGURATION)
)
# SQLAlchemy reserves column names in UPDATE statements, so these parameters need a prefix.
OF_FIELD = and_(
    CREDENTIAL.c.configuration == bindparam("of_configuration"),
    CREDENTIAL.c.field == bindparam("of_field"),
)
STORED = (
    select(STORE.c.key_id, CONFIGURATION, CREDENTIAL)
    .join_from(CONFIGURATION, STORE, sa.true())
    .outerjoin(
        CREDENTIAL,
        and_(CREDENTIAL.c.configuration == CONFIGURATION.c.id, CREDENTIAL.c.in_use),
    )
)
