"""Prepares a run: checks the options, the environment variables and the contract."""

import argparse
import json
import random
import re
from collections.abc import Mapping
from itertools import combinations
from tempfile import TemporaryFile

from support import contract, values
from support.backend import ADMIN, TOKENS, WRITER, Backend
from support.findings import DEFAULT, load_deviations
from support.options import LAST_RUN, MEANINGS
from support.plugin import OTHER_OUTPUT, RunPlugin


def prepare(option: argparse.Namespace, variables: Mapping[str, str]) -> RunPlugin:
    """Return the run without sending requests; `variables` are the environment variables.

    Raise `ValueError` if an option or variable is invalid.
    """
    contract.check_values(values.DATA["UNUSUAL"])
    if option.source and option.fail_on and not {*option.source} & {*option.fail_on}:
        raise ValueError(
            "--source and --fail-on have no source in common; "
            "include at least one source in both options"
        )
    written = option.write_deviations
    if written and written.resolve() == (option.deviations or DEFAULT).resolve():
        raise ValueError(
            "--write-deviations would overwrite the file of accepted findings; "
            "write to another file"
        )
    option.id = option.id or variables.get("FLASHBACK_AI_LLM_ID") or contract.EXAMPLE_ID
    given = _given_variables(option.id, variables)
    if option.again == LAST_RUN:
        option.again = option.report_dir / "verdict.json"
    earlier = _read_earlier(option) if option.again else {}
    if option.seed is None:
        option.seed = random.SystemRandom().randrange(10**9)
    accepted = load_deviations(option.deviations, option.backend_url)
    _check_outputs(option)
    return RunPlugin(Backend(option, given), option, accepted, earlier)


def _check_outputs(option: argparse.Namespace) -> None:
    """Raise `ValueError` if the reports or the deviations file cannot be written."""
    try:
        if option.report_dir:
            option.report_dir.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=option.report_dir).close()
        if option.write_deviations:
            option.write_deviations.open("a").close()
    except OSError as error:
        raise ValueError(f"cannot write the reports: {error}; {OTHER_OUTPUT}") from None


def _given_variables(id: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that are set; raise `ValueError` if one is invalid."""
    given = {"--id": id}
    for name in MEANINGS:
        if value := variables.get(name):
            given[name] = value
    for name, value in given.items():
        cure = "remove line breaks and other non-printable characters"
        is_valid = value.isprintable()
        if name in TOKENS:
            cure = "set it to the token alone, without `Bearer`, spaces or line breaks"
            is_valid = re.fullmatch("[!-~]*", value) is not None
        if not is_valid:
            raise ValueError(f"{name} contains an invalid character; {cure}")
    for one, other in combinations(given, 2):
        if given[one] == given[other] and (one, other) != (WRITER, ADMIN):
            cure = f"set {other} to {MEANINGS[other]}"
            raise ValueError(f"{one} and {other} have the same value; {cure}")
    return given


def _read_earlier(option: argparse.Namespace) -> dict[str, str]:
    """Return the outcome of each promise that had findings in the earlier run, keyed by name.

    Unless `--seed` is set, also use the earlier run's seed. Raise `ValueError` if the file is
    not a verdict or contains no findings.
    """
    outcomes = {}
    problem = "that run had no findings"
    try:
        verdict = json.loads(option.again.read_text("utf-8"))
        for promise in verdict["promises"]:
            if promise["findings"]:
                outcomes[promise["name"]] = promise["outcome"]
        seed = int(verdict["seed"])
    except FileNotFoundError:
        problem = "file not found"
    except (ArithmeticError, LookupError, OSError, RecursionError, TypeError, ValueError):
        outcomes = {}
        problem = "not a valid verdict"
    if not outcomes:
        cure = "run without --again, or pass the verdict.json of a run that had findings"
        raise ValueError(f"--again {option.again}: {problem}; {cure}")
    if option.seed is None:
        option.seed = seed
    return outcomes
