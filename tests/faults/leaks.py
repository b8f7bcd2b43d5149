"""Backends whose responses contain all or part of a credential."""

import base64
import codecs
import hashlib

from tests.faults.backend import Change, call, max_length
from tests.faults.changes import faults, on, when
from tests.faults.messages import RETRY_NOW, Answer, Request, rejected


def leak(value: Change) -> Change:
    """Add a `debug` field to responses, with the value that the given function returns."""

    def change(request: Request, answer: Answer) -> None:
        if leaked := call(value, request):
            answer.set_fields(debug=leaked)

    return change


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def key_of_the_previous_request(request: Request, answer: Answer) -> None:
    if answer.status == 200 and request.key:
        answer.set_fields(replaced=request.previous("key", request.key, ""))


def get_returns_the_masked_secret(request: Request, answer: Answer) -> None:
    secret = request.previous("secret", request.secret or request.memory.get("secret"), "")
    if request.method == "GET":
        answer.set_status(200).set_fields(success=True, secret=f"••••{secret[-4:]}")


faults(
    "test_every_response[credentials]",
    key_of_the_previous_request,
    first_half_of_the_key=leak(lambda key: f"{key[: len(key) // 2]}…"),
    first_six_characters_of_the_key=leak(lambda key: f"{key[:6]}***"),
    secret_in_html_escapes=leak(lambda secret: "".join(f"&#x{ord(c):x};" for c in secret[:99])),
    secret_reversed=leak(lambda secret: secret[::-1]),
    secret_with_swapped_case=leak(lambda secret: secret.swapcase()),
    secret_spelled_out=leak(lambda secret: " ".join(secret[:99])),
    secret_as_code_points=leak(lambda secret: list(map(ord, secret[:99]))),
    secret_in_rot13=leak(lambda secret: codecs.encode(secret, "rot13")),
    secret_in_hex=leak(lambda secret: secret.encode().hex()),
    secret_in_base64_twice=leak(lambda secret: _base64(_base64(secret.encode()).encode())),
    token_of_another_user=leak(lambda role, tokens: role == "reader" and tokens["owner"]),
    token_in_hex=leak(lambda token: token.encode().hex()),
    token_in_base64=leak(lambda token: _base64(f'{{"token": "{token}"}}'.encode())),
    half_of_the_secret_in_base64=leak(lambda secret: _base64(secret[len(secret) // 2 :].encode())),
    secret_in_base32=leak(lambda secret: base64.b32encode(secret.encode()).decode()),
    secret_hash_in_base64=leak(lambda secret: _base64(hashlib.sha256(secret.encode()).digest())),
    start_of_a_too_long_secret=leak(lambda secret: secret[max_length("secret") :] and secret[:40]),
    last_four_characters_of_the_key=leak(lambda key: f"****{key[-4:]}"),
    last_five_characters_of_the_key=leak(lambda key: f"****{key[-5:]}"),
    last_four_characters_after_x=leak(lambda key: f"xxxx-{key[-4:]}x"),
    key_for_admins=leak(lambda role, key: role == "admin" and key),
    key_in_404=on(404, leak(lambda key: key)),
    token_in_429=when(
        lambda count: count("any") % 20 == 19,
        lambda token: rejected(429, **RETRY_NOW).set_fields(message=f"{token}: wait a second"),
    ),
    secret_in_a_header=on(
        200, lambda secret, answer: secret.isalnum() and answer.set_header("X-S", secret)
    ),
    key_in_the_challenge=on(
        401, lambda key, answer: answer.set_header("WWW-Authenticate", f'Bearer realm="{key}"')
    ),
)
faults(
    "test_unreadable_body_is_rejected",
    unquoted_key_in_a_parser_error=on(
        400,
        lambda body, answer: (
            body.startswith(b'{"key": ')
            and body[8:9].isalpha()
            and answer.set_fields(message=f"{body[:18].decode()}... is not valid JSON")
        ),
    ),
)
faults(
    "test_unusual_value_answers_200",
    name_in_500=when(
        lambda name: "DROP TABLE" in name,
        lambda name: rejected(500).set_fields(message=f"cannot store {name}"),
    ),
    secret_in_pem=leak(lambda secret: "BEGIN" in secret and secret),
)
faults(
    "test_member_can_update[WRITE]",
    token_in_a_debug_response=leak(lambda header, token: header("X-Debug") and token),
    secret_in_a_compressed_response=lambda header, secret, answer: (
        "gzip" in header("Accept-Encoding") and answer.set_fields(debug=secret).compress()
    ),
)
faults(
    "test_other_charset_or_coding_causes_no_server_error",
    key_of_compressed_requests=leak(lambda header, key: header("Content-Encoding") and key),
)
faults(
    "test_similar_token_answers_401",
    unknown_token_in_401=on(401, leak(lambda token: f"unknown token: {token}")),
)
faults(
    "test_similar_path_gets_the_same_checks",
    token_in_404_for_other_paths=on(
        404, leak(lambda path, token: not path.startswith("/ai/llm/") and token)
    ),
)
faults(
    "test_other_method_updates_nothing",
    get_returns_the_masked_secret,
    token_in_405=on(405, lambda token, answer: answer.set_header("X-Debug", token)),
)
