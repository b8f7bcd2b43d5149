"""The HTTP library. No other module imports it, so that a move to httpx2 is one edit."""

import httpx

__all__ = ("httpx",)
