"""What every generated client runs on: retries, deadlines, connections, redaction and errors.

It knows no contract. Users import the generated package, which re-exports what they need.
"""
