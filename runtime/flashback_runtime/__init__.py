"""The implementation behind the generated client: connections, retries, deadlines and errors.

It does not know the contract. Import the generated package, which re-exports what you need.
"""
