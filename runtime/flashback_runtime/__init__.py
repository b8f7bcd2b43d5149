"""The generated client's runtime library: connections, retries, deadlines and errors.

This package does not depend on the contract. Do not import it directly. Import the generated
package, which re-exports the public names.
"""
