"""The examples in docs/client.md work, and the error table and `help()` are complete."""

import inspect
import pydoc
import re
from pathlib import Path
from typing import Any

import pytest

from flashback_client import AsyncFlashbackClient, FlashbackClient, errors
from flashback_mock import Mock

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text("utf-8")
EXAMPLES = re.findall(r"(?s)```python\n(.*?)```", PAGE)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs(number: int, mock: Mock) -> None:
    """Each example in the client reference runs against the mock without an error."""
    tokens = {"acme": mock.tokens["owner"], "globex": mock.tokens["admin"]}
    names = {"config": mock.ids["main"], "tokens": tokens, "__name__": "example"}
    exec(compile(EXAMPLES[number], f"example {number}", "exec"), names)  # noqa: S102
    if "def rotate" in EXAMPLES[number]:
        check_rotate(names["rotate"], mock)


def check_rotate(rotate: Any, mock: Mock) -> None:
    """Check what the example's `rotate` function returns on success and on each failure."""
    config = mock.ids["main"]
    with FlashbackClient(max_retries=0) as client:
        assert rotate(client, config, "s") == "rotated"
        assert rotate(client, config, "") == "secret is wrong"
        mock.answer_next(status=403)
        assert rotate(client, config, "s") == "not rotated"
        mock.answer_next(fault="reset", after_update=True)
        assert rotate(client, config, "s").startswith("keep the old secret")


def test_table_lists_every_error() -> None:
    """The error table lists every public class in `flashback_client.errors` except base classes."""
    table = PAGE.partition("## Errors")[2].partition("## Retries")[0]
    base_classes = {"ApiStatusError", "ArgumentTypeError", "ResponseError"}
    public = {name for name in vars(errors) if name.endswith("Error")}
    for name in public - base_classes:
        assert f"`{name}`" in table, f"docs/client.md: add {name} to the table of errors"


@pytest.mark.parametrize("client", [FlashbackClient, AsyncFlashbackClient])
def test_help_describes_every_setting(client: type[Any]) -> None:
    """`help()` of a client describes each argument of its constructor."""
    text = pydoc.render_doc(client)
    for name in inspect.signature(client).parameters:
        assert f"  {name}: " in text
