# ruff: noqa: D103 - the name says what is wrong
"""Backends that return a credential, or a part of one."""

import asyncio
import base64
import codecs
import hashlib
import re
from typing import Any

from tests.faults.backend import Answer, Request
from tests.faults.changes import Changes

FAULTS = Changes("leaked credentials")

LEAKS = "test_every_response and credentials"
FAULTS.changes_answer(
    LEAKS,
    key_in_the_message=lambda request, answer: answer.set_fields(
        message=f"stored {request.text('key')}"
    ),
    secret_in_a_header=lambda request, answer: (
        request.text("secret").isalnum() and answer.set_header("X-S", request.text("secret"))
    ),
    secret_in_a_cookie=lambda request, answer: (
        request.text("secret").isalnum()
        and answer.set_header("Set-Cookie", "s=" + request.text("secret"))
    ),
    secret_in_base64=lambda request, answer: answer.set_fields(
        debug=base64.b64encode(request.text("secret").encode()).decode()
    ),
    body_in_base64=lambda request, answer: answer.set_fields(
        debug=base64.b64encode(request.body[:3000]).decode()
    ),
    secret_in_hex=lambda request, answer: answer.set_fields(
        debug=request.text("secret").encode().hex()
    ),
    secret_reversed=lambda request, answer: answer.set_fields(debug=request.text("secret")[::-1]),
    first_half_of_the_key=lambda request, answer: answer.set_fields(
        hint=request.text("key")[: len(request.text("key")) // 2] + "…"
    ),
    secret_in_a_link_only=lambda request, answer: (
        request.text("secret").isalnum()
        and answer.set_header("Link", f"<https://x/{request.text('secret')}>")
    ),
    secret_in_base32_only=lambda request, answer: answer.set_fields(
        debug=base64.b32encode(request.text("secret").encode()).decode()
    ),
    secret_in_base64_twice_only=lambda request, answer: answer.set_fields(
        debug=base64.b64encode(base64.b64encode(request.text("secret").encode())).decode()
    ),
    half_the_secret_in_base64_only=lambda request, answer: answer.set_fields(
        debug=base64.b64encode(
            request.text("secret")[: len(request.text("secret")) // 2].encode()
        ).decode()
    ),
    half_the_secret_in_hex_only=lambda request, answer: answer.set_fields(
        debug=request.text("secret")[: len(request.text("secret")) // 2].encode().hex()
    ),
    secret_in_rot13_only=lambda request, answer: answer.set_fields(
        debug=codecs.encode(request.text("secret"), "rot13")
    ),
    secret_as_codes_only=lambda request, answer: answer.set_fields(
        debug=[ord(c) for c in request.text("secret")[:99]]
    ),
    secret_spelt_out_only=lambda request, answer: answer.set_fields(
        debug=" ".join(request.text("secret")[:99])
    ),
    secret_with_case_swapped_only=lambda request, answer: answer.set_fields(
        debug=request.text("secret").swapcase()
    ),
    hash_of_the_secret_in_base64_only=lambda request, answer: answer.set_fields(
        debug=base64.b64encode(hashlib.sha256(request.text("secret").encode()).digest()).decode()
    ),
)
FAULTS.changes_answer(
    LEAKS,
    200,
    key_in_a_field=lambda request, answer: answer.set_fields(data=request.fields),
)
FAULTS.changes_answer(
    LEAKS,
    403,
    key_in_403_only=lambda request, answer: answer.set_fields(message=request.text("key")),
)
FAULTS.changes_answer(
    LEAKS,
    401,
    key_in_401_only=lambda request, answer: answer.set_header(
        "WWW-Authenticate", f'Bearer realm="{request.text("key")}"'
    ),
)
FAULTS.changes_answer(
    LEAKS,
    400,
    broken_body_in_400_only=lambda request, answer: answer.set_fields(
        message=request.body.decode("latin-1")
    ),
)
FAULTS.changes_answer(
    f"test_unusual_value_answers_200 or {LEAKS}",
    long_secret_only=lambda request, answer: (
        len(request.text("secret")) > 1000 and answer.set_fields(debug=request.text("secret"))
    ),
    odd_secret_only=lambda request, answer: (
        "BEGIN" in request.text("secret") and answer.set_fields(debug=request.text("secret"))
    ),
)
FAULTS.changes_answer(
    f"test_near_token_answers_401 or {LEAKS}",
    401,
    token_in_the_message=lambda request, answer: answer.set_fields(
        message=f"unknown: {request.token}"
    ),
)
FAULTS.changes_answer(
    f"test_near_token_answers_401 or {LEAKS}",
    200,
    token_in_a_header=lambda request, answer: answer.set_header("X-Token", request.token),
)


@FAULTS.after(LEAKS)
def key_of_the_request_before(request: Request, answer: Answer) -> None:
    if answer.status == 200 and "key" in request.names:
        before, request.memory["key"] = request.memory.get("key", ""), request.text("key")
        answer.set_fields(replaced=before)


def _header_to_status_line(octets: bytes, transport: Any) -> None:
    reason = re.search(rb"x-s: (\w+)\r\n", octets)
    transport.write(octets.replace(b" 200 OK", b" 200 " + reason[1]) if reason else octets)


FAULTS.add(
    "secret_in_the_status_line_only",
    LEAKS,
    after=lambda request, answer: (
        request.text("secret").isalnum() and answer.set_header("X-S", request.text("secret"))
    ),
    on_the_wire=_header_to_status_line,
)
FAULTS.changes_answer(
    "test_every_response and credentials or test_near_miss_answers_400",
    last_four_of_the_key_only=lambda request, answer: answer.set_fields(
        hint="****" + request.text("key")[-4:]
    ),
)
FAULTS.changes_answer(
    "test_every_response and credentials or test_member_may_update and ADMIN",
    key_to_admins_only=lambda request, answer: (
        request.role == "admin" and answer.set_fields(debug=request.text("key"))
    ),
)
FAULTS.changes_answer(
    LEAKS,
    404,
    key_at_unknown_ids_only=lambda request, answer: (
        request.text("key") and answer.set_fields(message=request.text("key"))
    ),
)
FAULTS.changes_answer(
    f"{LEAKS} or test_unreadable_body_is_refused",
    broken_text_with_a_mark_only=lambda request, answer: (
        request.body[:3] == b"\xef\xbb\xbf"
        and answer.set_fields(debug=request.body.decode("latin-1"))
    ),
)
FAULTS.changes_answer(
    f"{LEAKS} or test_what_is_left_open_does_not_fail",
    key_with_compressed_bodies_only=lambda request, answer: (
        "content-encoding" in request.headers and answer.set_fields(debug=request.text("key"))
    ),
    key_under_other_media_types_only=lambda request, answer: (
        "charset=utf-16" in request.media_type and answer.set_fields(debug=request.text("key"))
    ),
)
FAULTS.changes_answer(
    f"{LEAKS} or test_member_may_update",
    key_in_chunks_only=lambda request, answer: (
        request.is_chunked and answer.set_fields(debug=request.text("key"))
    ),
)
FAULTS.changes_answer(
    f"{LEAKS} or test_nearby_path_has_the_same_checks",
    404,
    token_at_other_paths_only=lambda request, answer: (
        not request.path.startswith("/ai/llm/") and answer.set_fields(debug=request.token)
    ),
)
FAULTS.changes_answer(
    f"{LEAKS} or test_other_method_is_no_update",
    405,
    token_at_other_methods_only=lambda request, answer: answer.set_header("X-Debug", request.token),
)


@FAULTS.after(LEAKS)
def secret_before_in_404_only(request: Request, answer: Answer) -> None:
    if answer.status == 404 and "secret" in request.memory:
        answer.set_fields(message=request.memory["secret"])
    request.memory["secret"] = request.text("secret") or request.memory.get("secret", "")


@FAULTS.before("test_requests_at_the_same_time_are_answered_as_alone")
async def user_is_the_last_that_came(request: Request) -> None:
    request.memory["user"] = request.authorization or request.memory.get("user", "")
    await asyncio.sleep(0.05)
    if request.memory["user"]:
        request.set_header("Authorization", request.memory["user"])


@FAULTS.before("test_requests_at_the_same_time_are_answered_as_alone or test_every_response")
async def id_is_the_last_that_came(request: Request) -> None:
    request.memory["path"] = request.path
    await asyncio.sleep(0.05)
    request.path = request.memory["path"]
