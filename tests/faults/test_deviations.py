"""Accepted findings stay accepted and hide nothing else, least of all an open backend."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.faults.backend import Answer, Change, Request, serving
from tests.faults.judge import BROKEN, KEPT, environment, judge_url

PROMISES = "test_bad_token_answers_401 or test_near_miss_answers_400 or test_nearby_path"


@dataclass
class Backend:
    """A backend without a challenge, that may be opened or fixed while it runs."""

    is_open: bool = False
    is_fixed: bool = False

    def before(self, request: Request) -> None:
        """Ignore empty names, and let everybody in once it is open."""
        fields = request.fields
        if not self.is_fixed and fields.get("name") == "":
            del fields["name"]
            request.set_fields(fields)
        if self.is_open and not request.role:
            request.as_user()

    def after(self, _: Request, answer: Answer) -> None:
        """Leave out the challenge."""
        answer.drop_header("WWW-Authenticate")


def accept_all(file: Path) -> None:
    """Fill in the entries that the run wrote."""
    hosts = yaml.safe_load(file.read_text("utf-8"))
    for entry in (entry for entries in hosts.values() for entry in entries):
        entry |= {"reason": "for now", "link": "https://tracker.example/1", "date": "2026-11-26"}
    file.write_text(yaml.safe_dump(hosts), "utf-8")


def test_accepted_findings_do_not_hide_an_open_backend(tmp_path: Path) -> None:
    """An open backend is red no matter what was accepted or selected."""
    backend = Backend()
    file = tmp_path / "deviations.yaml"
    accepting = ["--deviations", str(file)]
    with serving(Change(backend.before, backend.after)) as mock:
        url = mock.base_url
        variables = environment(mock.tokens, mock.ids)
        writing = ["--write-deviations", str(file)]
        first = judge_url(url, variables, *writing, promises=PROMISES)
        accept_all(file)
        accepted = judge_url(url, variables, *accepting, promises=PROMISES)
        backend.is_open = True
        opened = judge_url(url, variables, *accepting, promises=PROMISES)
        page_only = ["--source", "page", "--fail-on", "page"]
        selected = judge_url(url, variables, *accepting, *page_only, promises=PROMISES)
    assert first.status == BROKEN
    assert accepted.status == KEPT, accepted.output
    assert accepted.verdict["result"] == "kept except for accepted deviations"
    assert opened.status == BROKEN, opened.output
    assert selected.status == BROKEN, selected.output
    assert any(id.startswith("authentication/no-token/") for id in opened.ids)


def test_fixed_deviation_turns_the_run_red(tmp_path: Path) -> None:
    """An accepted finding that no longer occurs must be removed from the file."""
    backend = Backend()
    file = tmp_path / "deviations.yaml"
    with serving(Change(backend.before, backend.after)) as mock:
        url = mock.base_url
        variables = environment(mock.tokens, mock.ids)
        judge_url(url, variables, "--write-deviations", str(file), promises=PROMISES)
        accept_all(file)
        backend.is_fixed = True
        fixed = judge_url(url, variables, "--deviations", str(file), promises=PROMISES)
    assert fixed.status == BROKEN, fixed.output
    assert fixed.ids == ["lengths/name-minLength/200"]
