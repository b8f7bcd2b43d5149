"""Test controls: planned responses, the request log, the stored state and the `Mock` class."""
