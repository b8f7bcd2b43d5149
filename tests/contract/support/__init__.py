"""The code behind the promises: the contract as data, requests, rules, findings and the verdict."""
