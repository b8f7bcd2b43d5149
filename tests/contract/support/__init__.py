"""The code behind the tests: contract, requests, rules, findings and the verdict."""
