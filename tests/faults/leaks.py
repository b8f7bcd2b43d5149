"""Backends whose responses contain all or part of a credential."""

import base64
import codecs
import hashlib

from tests.faults.changes import Changes, Condition
from tests.faults.messages import Answer, Request, refused

FAULTS = Changes()
CREDENTIALS = "test_every_response[credentials]"


def leaks(promises: str, status: int = 0, /, **leaked: Condition) -> None:
    """Register changes that leak a value in the `debug` field of responses.

    If `status` is not 0, only responses with this status contain the `debug` field.
    """
    for name, get_value in leaked.items():

        def leak(request: Request, answer: Answer, get_value: Condition = get_value) -> None:
            if value := get_value(request):
                answer.set_fields(debug=value)

        FAULTS.changes_answer(promises, status, **{name: leak})


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


leaks(
    CREDENTIALS,
    key_in_a_sentence=lambda request: f"stored {request.key}",
    first_half_of_the_key=lambda request: f"{request.key[: len(request.key) // 2]}…",
    secret_reversed=lambda request: request.secret[::-1],
    secret_with_swapped_case=lambda request: request.secret.swapcase(),
    secret_spelled_out=lambda request: " ".join(request.secret[:99]),
    secret_as_code_points=lambda request: [ord(letter) for letter in request.secret[:99]],
    secret_in_rot13=lambda request: codecs.encode(request.secret, "rot13"),
    secret_in_hex=lambda request: request.secret.encode().hex(),
    secret_in_base64=lambda request: _base64(request.secret),
    secret_in_base64_twice=lambda request: _base64(_base64(request.secret)),
    half_of_the_secret_in_base64=lambda request: _base64(
        request.secret[len(request.secret) // 2 :]
    ),
    secret_in_base32=lambda request: base64.b32encode(request.secret.encode()).decode(),
    body_in_base64=lambda request: base64.b64encode(request.body[:3000]).decode(),
    hash_of_the_secret_in_base64=lambda request: base64.b64encode(
        hashlib.sha256(request.secret.encode()).digest()
    ).decode(),
)
leaks(CREDENTIALS, 200, fields_in_200=lambda request: request.fields)
leaks(CREDENTIALS, 400, raw_body_in_400=lambda request: request.body.decode("latin-1"))
FAULTS.where(
    CREDENTIALS,
    lambda request: refused(500).set_fields(debug=request.key),
    key_in_500=lambda request: request.key and request.method == "PUT" and request.role == "admin",
)
FAULTS.where(
    "test_every_response[internals] or test_unusual_value_answers_200[name]",
    lambda request: refused(500).set_fields(message=f"cannot store {request.name}"),
    name_in_500=lambda request: "DROP TABLE" in request.name,
)
leaks(CREDENTIALS, 404, key_in_404=lambda request: request.key)
leaks(
    f"test_unusual_value_answers_200 or {CREDENTIALS}",
    secret_in_pem=lambda request: "BEGIN" in request.secret and request.secret,
)
leaks(
    f"test_invalid_value_answers_400 or {CREDENTIALS}",
    last_four_characters_of_the_key=lambda request: f"****{request.key[-4:]}",
)
leaks(
    f"test_member_may_update or {CREDENTIALS}",
    key_for_admins=lambda request: request.role == "admin" and request.key,
)
leaks(
    f"test_other_charset_or_coding_does_not_fail or {CREDENTIALS}",
    key_of_compressed_requests=lambda request: request.header("Content-Encoding") and request.key,
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
FAULTS.changes_answer(
    CREDENTIALS,
    200,
    secret_in_a_header=lambda request, answer: (
        request.secret.isalnum() and answer.set_header("X-S", request.secret)
    ),
    key_of_the_previous_request=lambda request, answer: (
        request.key and answer.set_fields(replaced=request.previous("key", request.key, ""))
    ),
)
FAULTS.changes_answer(
    CREDENTIALS,
    401,
    key_in_the_challenge=lambda request, answer: answer.set_header(
        "WWW-Authenticate", f'Bearer realm="{request.key}"'
    ),
)
FAULTS.changes_answer(
    f"test_other_method_is_no_update or {CREDENTIALS}",
    405,
    token_in_405=lambda request, answer: answer.set_header("X-Debug", request.token),
)


@FAULTS.after(f"test_other_method_is_no_update or {CREDENTIALS}")
def get_returns_the_masked_secret(request: Request, answer: Answer) -> None:
    secret = request.previous("secret", request.secret or request.memory.get("secret"), "")
    if request.method == "GET":
        answer.set_status(200).set_fields(success=True, secret=f"••••{secret[-4:]}")


@FAULTS.after(CREDENTIALS)
def last_secret_in_404(request: Request, answer: Answer) -> None:
    if answer.status == 404 and "secret" in request.memory:
        answer.set_fields(message=request.memory["secret"])
    request.memory["secret"] = request.secret or request.memory.get("secret", "")
