"""Requests by hand: schemathesis cases of the operation, each answer held against the contract."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import contract
import schemathesis
from backend import WRITER, Backend, BrokenPromiseError, Exchange
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def load_schema(backend: Backend, **settings: Any) -> BaseSchema:
    """The contract as schemathesis reads it, aimed at the backend."""
    settings = {"base-url": backend.url, **settings}
    config = SchemathesisConfig.from_dict(settings)
    return schemathesis.openapi.from_path(contract.FILE, config=config)


class Asker:
    """Sends one request of the operation after the other, each true to the contract's schema."""

    def __init__(self, backend: Backend) -> None:
        """Ask `backend`."""
        self.backend = backend
        self._operation = load_schema(backend)[contract.PATH]["PUT"]

    def __call__(
        self,
        *,
        id: str | None = None,
        token: str | None = WRITER,
        body: Any = contract.EXAMPLES["nothing"],
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Ask with a given token (by its variable) or none, and judge what any answer must keep."""
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {self.backend.given[token]}"
        case = self._operation.Case(
            path_parameters={"id": quote(id or self.backend.id, safe="")},
            headers=headers,
            body=body,
            media_type="application/json",
        )
        response = case.call(session=self.backend)
        case.validate_response(response, checks=CONFORMANCE)
        if self.backend.last is None:
            raise RuntimeError("schemathesis sent nothing through the session it was given")
        return self.backend.last

    def expect(self, status: int, **asked: Any) -> Exchange:
        """Ask; raise `BrokenPromiseError` unless the answer has the status."""
        exchange = self(**asked)
        if exchange.status != status:
            raise BrokenPromiseError(f"expected {status}, came {exchange.status}")
        return exchange
