"""The mock over HTTP: the operation, `/__admin`, the page, and the server."""
