"""The mock's HTTP interface: the operation, `/__admin`, the web page and the server."""
