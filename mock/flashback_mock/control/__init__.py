"""Test controls: planned answers, the request log, the stored state and the `Mock` class."""
