"""Shared code for the contract tests: requests, rules, findings and the verdict."""
