"""The runtime library of the generated client: connections, retries, deadlines and errors.

This package does not depend on the contract. Do not import it directly: import the generated
package instead, which re-exports the public names.
"""
