"""Renders a verdict as reports. docs/verdict.schema.json describes the verdict's format."""
