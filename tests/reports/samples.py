"""Sample verdicts, one for each result, with six kinds of findings."""

from typing import Any

Verdict = dict[str, Any]

URL = "http://127.0.0.1:8000"
ID = "550e8400-e29b-41d4-a716-446655440000"
OTHER_ID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"

# family, name, sentence, clause, source, requests
PROMISES = [
    (
        "Access: who may update which configuration",
        [
            (
                "test_member_may_update[WRITE]",
                "A member with WRITE may update any configuration of the workspace.",
                "access-levels",
                "vendor",
                24,
            ),
            (
                "test_member_may_update[ADMIN]",
                "A member with ADMIN may update any configuration of the workspace.",
                "access-levels",
                "vendor",
                24,
            ),
            (
                "test_reader_may_not_update",
                "A member with READ may not update the configuration.",
                "access-levels",
                "vendor",
                61,
            ),
            (
                "test_stranger_may_not_update",
                "A user who is not a member of the workspace may not update its configurations.",
                "access",
                "page",
                61,
            ),
            ("test_unknown_id_answers_404", "An unknown id answers 404.", "404", "page", 120),
            (
                "test_name_is_unique_in_its_workspace",
                "Renaming to a name that another configuration of the workspace has answers 400.",
                "unique-names",
                "vendor",
                4,
            ),
        ],
    ),
    (
        "Authentication: only a valid bearer token updates",
        [
            (
                "test_request_without_token_answers_401",
                "A request without a token answers 401.",
                "authentication",
                "page",
                38,
            ),
            (
                "test_challenge_is_sent",
                "A 401 carries `WWW-Authenticate: Bearer`.",
                "challenge",
                "ours",
                52,
            ),
            (
                "test_expired_token_answers_401",
                "An expired token answers 401.",
                "authentication",
                "page",
                38,
            ),
        ],
    ),
    (
        "Schema: what a body may hold",
        [
            ("test_valid_body_answers_200", "A valid body answers 200.", "body", "page", 160),
            (
                "test_near_miss_answers_400[key]",
                "A value of `key` that is nearly valid answers 400.",
                "lengths",
                "ours",
                9,
            ),
            (
                "test_near_miss_answers_400[aiType]",
                "A value of `aiType` that is nearly valid answers 400.",
                "ai-type",
                "page",
                22,
            ),
            (
                "test_unknown_field_answers_400",
                "An unknown field answers 400.",
                "unknown-fields",
                "ours",
                14,
            ),
        ],
    ),
    (
        "Bytes: bodies that are not JSON",
        [
            (
                "test_unreadable_body_is_refused",
                "A body that is not JSON is refused.",
                "json",
                "ours",
                44,
            ),
            (
                "test_oversized_body_is_refused",
                "A body over the limit is refused.",
                "body-size",
                "ours",
                6,
            ),
        ],
    ),
    (
        "Answers: what each response carries",
        [
            (
                "test_answer[carries no credential]",
                "No response carries a credential.",
                "credentials",
                "page",
                0,
            ),
            (
                "test_500_is_documented_json",
                "A 500 is the documented error body.",
                "500",
                "page",
                0,
            ),
        ],
    ),
]

CLAUSES = {
    "access-levels": ("vendor", "`READ` is read-only; updating needs `WRITE` or `ADMIN`.", 74),
    "challenge": ("ours", "A 401 carries the challenge `Bearer` (RFC 6750).", 81),
    "lengths": ("ours", "`key` and `secret` have 1 to 8,192 characters.", 96),
    "json": ("ours", "A body that is not JSON in UTF-8 is refused with 4xx.", 102),
    "body-size": ("ours", "At most 262,144 bytes (256 KiB).", 104),
    "500": ("page", "Failed to update: `success` is false, and `message` says so.", 131),
    "other-paths": ("open", "Other paths are left open.", 140),
}
JSON_HEADERS = [["Content-Type", "application/json"], ["Server", "uvicorn"]]


def curl(data: str, variable: str = "FLASHBACK_TOKEN", options: str = "") -> str:
    """Return a curl line as the engine writes it."""
    return (
        f"curl -i -X PUT {URL}/ai/llm/{ID} {options}"
        f"""-H 'Authorization: Bearer '"${{{variable}}}" """
        f"-H 'Content-Type: application/json' {data}"
    )


def example(
    sent: str, command: str, body: str | None, response: tuple[int, str, str] | None, **more: Any
) -> dict[str, Any]:
    """Return an example of a finding."""
    answer = None
    if response:
        status, reason, text = response
        answer = {"status": status, "reason": reason, "headers": JSON_HEADERS, "body": text}
    request = {
        "method": "PUT",
        "url": f"{URL}/ai/llm/{ID}",
        "headers": [["Authorization", "Bearer ${FLASHBACK_TOKEN}"], *JSON_HEADERS[:1]],
        "body": body,
        "body_file": None,
    }
    return {"sent": sent, "curl": command, "request": {**request, **more}, "response": answer}


def finding(  # noqa: PLR0913, PLR0917 - each is a part of a finding
    id: str, promise: str, title: str, expected: str, got: str, count: int, **more: Any
) -> dict[str, Any]:
    """Return a finding whose id begins with its clause."""
    clause = id.partition(":")[0]
    source, text, line = CLAUSES[clause]
    return {
        "id": id,
        "promise": promise,
        "clause": {"id": clause, "source": source, "text": text, "line": line},
        "source": source,
        "title": title,
        "expected": expected,
        "got": got,
        "count": count,
        "severity": "broken",
        "decides": True,
        "accepted": None,
        "examples": [],
        **more,
    }


OK = (200, "OK", '{"success": true, "aiLlmId": "550e8400-e29b-41d4-a716-446655440000"}')
LONG = "k" * 300


def findings() -> list[dict[str, Any]]:
    """Return six kinds: access, header, length, bytes, size, crash; and a note."""
    return [
        finding(
            "access-levels:READ:2xx",
            "test_reader_may_not_update",
            "A member with READ updated the configuration",
            "403",
            "200",
            61,
            examples=[
                example(
                    "`name` with the token of a member with READ",
                    curl("""-d '{"name": "Updated"}'""", "FLASHBACK_READER_TOKEN"),
                    '{"name": "Updated"}',
                    OK,
                ),
                example(
                    "an empty object with the token of a member with READ",
                    curl("-d '{}'", "FLASHBACK_READER_TOKEN"),
                    "{}",
                    OK,
                ),
            ],
        ),
        finding(
            "challenge:WWW-Authenticate:missing",
            "test_challenge_is_sent",
            "A 401 has no `WWW-Authenticate`",
            "the header `WWW-Authenticate: Bearer`",
            "401 without `WWW-Authenticate`",
            52,
            examples=[
                example(
                    "no `Authorization` header",
                    f"curl -i -X PUT {URL}/ai/llm/{ID} -H 'Content-Type: application/json' -d {{}}",
                    "{}",
                    (401, "Unauthorized", '{"success": false, "message": "Not authenticated"}'),
                )
            ],
        ),
        finding(
            "lengths:key:maxLength:200",
            "test_near_miss_answers_400[key]",
            "`key` of 8,193 characters was accepted",
            "400",
            "200",
            2,
            examples=[
                example(
                    "`key`: 8,193 characters, `maxLength` is 8,192",
                    curl("--data-binary @reports/bodies/lengths-key-1.json"),
                    None,
                    (200, "OK", LONG),
                    body_file="bodies/lengths-key-1.json",
                )
            ],
        ),
        finding(
            "500:json:malformed",
            "test_500_is_documented_json",
            "A body that is not JSON answers 500",
            "4xx",
            "500, `text/plain`: Internal Server Error",
            31,
            examples=[
                example(
                    "`{` as the body",
                    curl("-d '{'"),
                    "{",
                    (500, "Internal Server Error", "Traceback: \x1b[31m<script>alert(1)</script>"),
                )
            ],
        ),
        finding(
            "json:encoding:200",
            "test_unreadable_body_is_refused",
            "A body that is not UTF-8 was accepted",
            "400",
            "200",
            3,
            decides=False,
            examples=[
                example(
                    "`name` in ISO 8859-1: the byte E9 is not UTF-8",
                    curl("""--data-binary "$(printf '{"name": "Caf\\351"}')" """).strip(),
                    None,
                    OK,
                )
            ],
        ),
        finding(
            "body-size:chunked:no response",
            "test_oversized_body_is_refused",
            "No response to a body over the limit",
            "400 or 413",
            "no response: connection reset",
            1,
            examples=[
                example(
                    "327,680 bytes in 6 chunks, the limit is 262,144",
                    curl("-T reports/bodies/body-size-1.json", options="-H 'Expect:' "),
                    None,
                    None,
                    body_file="bodies/body-size-1.json",
                )
            ],
        ),
        finding(
            "other-paths:proxy:%00",
            "test_unreadable_body_is_refused",
            "A proxy before the backend answered",
            "any refusal",
            "400, `text/html`, from nginx",
            3,
            severity="note",
            decides=False,
            examples=[],
        ),
    ]


def verdict(found: list[dict[str, Any]], result: str, status: int, **more: Any) -> Verdict:
    """Return a verdict with these findings; every promise without one is kept."""
    promises = []
    for family, rows in PROMISES:
        for name, sentence, clause, source, requests in rows:
            own = [finding for finding in found if finding["promise"] == name]
            severities = [finding["severity"] for finding in own]
            outcome = "kept"
            for severity in ("accepted", "broken"):
                outcome = severity if severity in severities else outcome
            promises.append(
                {
                    "name": name,
                    "family": family,
                    "sentence": sentence,
                    "clause": clause,
                    "source": source,
                    "outcome": outcome,
                    "reason": "",
                    "requests": requests,
                    "findings": [finding["id"] for finding in own],
                    "again": None,
                }
            )
    verdict = {
        "format": 1,
        "contract": {"title": "Flashback AI LLM API", "version": "0.2.0"},
        "tools": {"python": "3.11.7", "schemathesis": "4.32.5", "hypothesis": "6.150.0"},
        "backend": {"url": URL, "id": ID},
        "seed": 42,
        "started": "2026-11-26T17:00:00Z",
        "seconds": 8.25,
        "requests": 1234,
        "statuses": {"200": 512, "400": 611, "401": 90, "403": 20, "none": 1},
        "result": result,
        "exit_status": status,
        "reason": "",
        "cure": "",
        "selection": {
            "keyword": "",
            "sources": [],
            "fail_on": [],
            "require_all": False,
            "again": False,
        },
        "by_source": {
            source: {
                column: sum(f["source"] == source and f["severity"] == severity for f in found)
                for column, severity in (
                    ("broken", "broken"),
                    ("accepted", "accepted"),
                    ("notes", "note"),
                )
            }
            for source in ("page", "vendor", "ours")
        },
        "promises": promises,
        "findings": found,
        "not_shown_by_http": ["encryption at rest", "secure replacement of old values"],
        "missing_variables": [],
        **more,
    }
    return recounted(verdict)


def recounted(verdict: Verdict) -> Verdict:
    """Return the verdict with counts that match its promises."""
    outcomes = [promise["outcome"].replace(" ", "_") for promise in verdict["promises"]]
    names = ("kept", "broken", "accepted", "not_tested")
    return {**verdict, "counts": {name: outcomes.count(name) for name in names}}


def kept() -> Verdict:
    """Return a run without findings."""
    return verdict([], "kept", 0)


def broken() -> Verdict:
    """Return a run with six findings and a note."""
    return verdict(findings(), "broken", 1)


def accepted() -> Verdict:
    """Return a run whose only finding is an accepted deviation."""
    entry = {
        "reason": "readers may update until the roles are done",
        "link": "https://tracker.example/1",
        "date": "2026-11-23",
    }
    first = {**findings()[0], "severity": "accepted", "decides": False, "accepted": entry}
    return verdict([first], "kept except for accepted deviations", 0)


def no_verdict() -> Verdict:
    """Return a run that could not judge the backend."""
    why = "GET and PUT are answered by a redirect to https://login.example/."
    cure = "Give the URL of the API itself with --backend-url."
    result = verdict([], "no verdict", 2, reason=why, cure=cure, requests=2)
    for promise in result["promises"]:
        promise |= {"outcome": "not tested", "reason": "the run ended before", "requests": 0}
    return recounted(result)


def not_tested() -> Verdict:
    """Return a run without most variables, which --require-all turns red."""
    result = verdict([], "kept", 1, reason="7 promises were not tested, and --require-all is set.")
    result["selection"]["require_all"] = True
    variables = {
        "test_member_may_update[ADMIN]": (
            "FLASHBACK_ADMIN_TOKEN",
            "a token of a member with ADMIN",
        ),
        "test_reader_may_not_update": ("FLASHBACK_READER_TOKEN", "a token of a member with READ"),
        "test_stranger_may_not_update": (
            "FLASHBACK_STRANGER_TOKEN",
            "a token of a user who is not a member",
        ),
        "test_name_is_unique_in_its_workspace": (
            "FLASHBACK_SIBLING_AI_LLM_ID",
            "another throwaway configuration of the workspace",
        ),
        "test_expired_token_answers_401": ("FLASHBACK_EXPIRED_TOKEN", "a token that has expired"),
    }
    reasons = {promise: f"set {name}: {use}" for promise, (name, use) in variables.items()}
    reasons["test_answer[carries no credential]"] = "hidden by `500:json:malformed`"
    reasons["test_500_is_documented_json"] = "no response with this status was seen"
    for promise in result["promises"]:
        if promise["name"] in reasons:
            promise |= {
                "outcome": "not tested",
                "reason": reasons[promise["name"]],
                "requests": 0,
            }
    result["missing_variables"] = [
        {"name": name, "meaning": meaning, "promises": 1} for name, meaning in variables.values()
    ]
    return recounted(result)


ALL = {
    "kept": kept,
    "broken": broken,
    "accepted": accepted,
    "no verdict": no_verdict,
    "not tested": not_tested,
}
