# ruff: noqa: D103 - the names describe the faults
"""Backends whose responses contain all or part of a credential."""

import base64
import codecs
import hashlib
import re
from collections.abc import Callable
from typing import Any

from tests.faults.changes import Changes
from tests.faults.messages import Answer, Request

FAULTS = Changes()
CREDENTIALS = "test_every_response and credentials"


def leaks(promises: str, status: int = 0, /, **leaked: Callable[[Request], object]) -> None:
    """Register changes that leak a value in the `debug` field of responses.

    If `status` is not 0, only responses with this status contain the field.
    """
    for name, value in leaked.items():

        def add(request: Request, answer: Answer, value: Any = value) -> None:
            if text := value(request):
                answer.set_fields(debug=text)

        FAULTS.changes_answer(promises, status, **{name: add})


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _half(text: str) -> str:
    return text[: len(text) // 2]


leaks(
    CREDENTIALS,
    key_in_a_sentence=lambda request: f"stored {request.key}",
    first_half_of_the_key=lambda request: f"{_half(request.key)}…",
    secret_reversed=lambda request: request.secret[::-1],
    secret_with_swapped_case=lambda request: request.secret.swapcase(),
    secret_spelled_out=lambda request: " ".join(request.secret[:99]),
    secret_as_code_points=lambda request: [ord(letter) for letter in request.secret[:99]],
    secret_in_rot13=lambda request: codecs.encode(request.secret, "rot13"),
    secret_in_hex=lambda request: request.secret.encode().hex(),
    half_of_the_secret_in_hex=lambda request: _half(request.secret).encode().hex(),
    secret_in_base64=lambda request: _base64(request.secret),
    secret_in_base64_twice=lambda request: _base64(_base64(request.secret)),
    half_of_the_secret_in_base64=lambda request: _base64(_half(request.secret)),
    secret_in_base32=lambda request: base64.b32encode(request.secret.encode()).decode(),
    body_in_base64=lambda request: base64.b64encode(request.body[:3000]).decode(),
    hash_of_the_secret_in_base64=lambda request: base64.b64encode(
        hashlib.sha256(request.secret.encode()).digest()
    ).decode(),
)
leaks(CREDENTIALS, 200, fields_in_200=lambda request: request.fields)
leaks(CREDENTIALS, 400, raw_body_in_400=lambda request: request.body.decode("latin-1"))
leaks(CREDENTIALS, 403, key_in_403=lambda request: request.key)
leaks(CREDENTIALS, 404, key_in_404=lambda request: request.key)
leaks(
    f"test_unusual_value_answers_200 or {CREDENTIALS}",
    long_secret=lambda request: len(request.secret) > 1000 and request.secret,
    secret_in_pem=lambda request: "BEGIN" in request.secret and request.secret,
)
leaks(
    f"test_invalid_value_answers_400 or {CREDENTIALS}",
    last_four_characters_of_the_key=lambda request: f"****{request.key[-4:]}",
)
leaks(
    f"test_member_may_update or {CREDENTIALS}",
    key_for_admins=lambda request: request.role == "admin" and request.key,
    key_of_chunked_requests=lambda request: request.is_chunked and request.key,
)
leaks(
    f"test_unreadable_body_is_refused or {CREDENTIALS}",
    body_with_a_byte_order_mark=lambda request: (
        request.body.startswith(b"\xef\xbb\xbf") and request.body.decode("latin-1")
    ),
)
leaks(
    f"test_other_charset_or_coding_does_not_fail or {CREDENTIALS}",
    key_of_compressed_requests=lambda request: request.header("Content-Encoding") and request.key,
    key_of_utf_16_requests=lambda request: "charset=utf-16" in request.media_type and request.key,
)
leaks(
    f"test_near_token_answers_401 or {CREDENTIALS}",
    401,
    unknown_token_in_401=lambda request: f"unknown token: {request.token}",
)
leaks(
    f"test_nearby_path_has_the_same_checks or {CREDENTIALS}",
    404,
    token_in_404_for_other_paths=lambda request: (
        not request.path.startswith("/ai/llm/") and request.token
    ),
)


def _secret_in_a_header(request: Request, answer: Answer) -> None:
    if request.secret.isalnum():
        answer.set_header("X-S", request.secret)


def _copy_header_to_status_line(octets: bytes, transport: Any) -> None:
    reason = re.search(rb"x-s: (\w+)\r\n", octets)
    transport.write(octets.replace(b" 200 OK", b" 200 " + reason[1]) if reason else octets)


FAULTS.changes_answer(CREDENTIALS, secret_in_a_header=_secret_in_a_header)
FAULTS.add(
    "secret_in_the_status_line",
    CREDENTIALS,
    after=_secret_in_a_header,
    on_the_wire=_copy_header_to_status_line,
)
FAULTS.changes_answer(
    CREDENTIALS,
    401,
    key_in_the_challenge=lambda request, answer: answer.set_header(
        "WWW-Authenticate", f'Bearer realm="{request.key}"'
    ),
)
FAULTS.changes_answer(
    f"test_near_token_answers_401 or {CREDENTIALS}",
    200,
    token_in_a_header=lambda request, answer: answer.set_header("X-Token", request.token),
)
FAULTS.changes_answer(
    f"test_other_method_is_no_update or {CREDENTIALS}",
    405,
    token_in_405=lambda request, answer: answer.set_header("X-Debug", request.token),
)


@FAULTS.after(CREDENTIALS)
def key_of_the_previous_request(request: Request, answer: Answer) -> None:
    if answer.status == 200 and request.key:
        answer.set_fields(replaced=request.previous("key", request.key, ""))


@FAULTS.after(CREDENTIALS)
def last_secret_in_404(request: Request, answer: Answer) -> None:
    if answer.status == 404 and "secret" in request.memory:
        answer.set_fields(message=request.memory["secret"])
    request.memory["secret"] = request.secret or request.memory.get("secret", "")
