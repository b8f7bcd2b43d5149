"""Common testing and tracing tools work with the clients."""

import importlib
from pathlib import Path
from typing import Any

import respx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_httpx import HTTPXMock

from tests.client.support import ID, OK, TOKEN, UPDATED, URL
from tests.client.wire import serving

vcr: Any = importlib.import_module("vcr")  # VCR.py has no type hints


def test_pytest_httpx_works(update: Any, httpx_mock: HTTPXMock) -> None:
    """pytest-httpx matches the request body and sends the mocked response."""
    httpx_mock.add_response(method="PUT", url=URL, match_json={"name": "new"}, json=UPDATED)
    assert update(None, name="new").message == "updated"
    (request,) = httpx_mock.get_requests()
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


def test_respx_works(update: Any) -> None:
    """RESPX matches the request body and sends the mocked response."""
    with respx.mock() as mocked:
        route = mocked.put(URL, json={"name": "new"}).respond(json=UPDATED)
        assert update(None, name="new").message == "updated"
    assert route.call_count == 1


def test_vcr_works(update: Any, tmp_path: Path) -> None:
    """VCR.py records the first call and replays its response for the second call."""
    cassette = str(tmp_path / "cassette.yaml")
    with serving(OK) as server:
        for _ in range(2):
            with vcr.use_cassette(cassette, filter_headers=["authorization"]):
                updated = update(server.url, name="new")
            assert updated.message == "updated"
        assert len(server.requests) == 1


def test_opentelemetry_records_a_span(update: Any) -> None:
    """OpenTelemetry creates a span with the method, the URL and the status."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        with serving(OK) as server:
            update(server.url, name="new")
    finally:
        instrumentor.uninstrument()
    (span,) = exporter.get_finished_spans()
    attributes = dict(span.attributes or {})
    assert attributes["http.method"] == "PUT"
    assert attributes["http.status_code"] == 200
    assert ID in str(attributes["http.url"])
