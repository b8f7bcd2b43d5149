"""What comes along with the package: metadata by twine, SBOMs, and the licence of everything."""

from __future__ import annotations

import hashlib
import json
import re
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from scripts.release_base import DIST, PROJECT, Release, attempt, environment, run, say

if TYPE_CHECKING:
    from collections.abc import Iterator


def supplied(release: Release) -> Iterator[str]:
    """What is wrong with metadata and licences; dist/ has an SBOM of the client and each extra."""
    say("Describing what comes along: metadata, SBOMs, licences")
    tools, sites = release.room / "tools", dict[str, Path]()
    lock = release.tree / "scripts" / "release.txt"
    used = environment(tools, "--require-hashes", "-r", lock)
    yield from refused_by_twine(tools)
    for extra in ("", *release.extras):
        where = release.room / f"alone-{extra}"
        name = f"{PROJECT}[{extra}]" if extra else PROJECT
        sites[name] = release.install(where, extra, using=("-c", release.lock))
        describe(release, tools, where, extra)
    sites |= {"development": Path(sysconfig.get_path("purelib")), "scripts/release": used}
    yield from unlicensed(sites, release.project["tool"]["release"])


def refused_by_twine(tools: Path) -> Iterator[str]:
    """A finding if an index would refuse the metadata, or could not show the README."""
    files = (*DIST.glob("*.whl"), *DIST.glob("*.tar.gz"))
    done = attempt(tools / "bin" / "twine", "check", "--strict", *files, cwd=DIST, NO_COLOR="1")
    if done.returncode:
        said = (done.stdout + done.stderr).decode().rstrip()
        yield f"twine refuses the metadata; mend pyproject.toml or README.md:\n{said}"


def describe(release: Release, tools: Path, where: Path, extra: str) -> None:
    """Writes the SBOM (CycloneDX) of what is installed there, the wheel as its subject."""
    options = ("--output-reproducible", "--mc-type", "library")
    subject = ("--pyproject", release.tree / "pyproject.toml")
    program = tools / "bin" / "cyclonedx-py"
    document = json.loads(run(program, "environment", *options, *subject, where, cwd=where))
    # The version is dynamic, so that the tool cannot know it.
    document["metadata"]["component"] |= {"version": release.version, "hashes": [hashed(release)]}
    name = "-".join(filter(None, [PROJECT.replace("-", "_"), release.version, extra]))
    (DIST / f"{name}.cdx.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def hashed(release: Release) -> dict[str, str]:
    """The wheel's hash, as CycloneDX writes it."""
    return {"alg": "SHA-256", "content": hashlib.sha256(release.wheel.read_bytes()).hexdigest()}


def unlicensed(sites: dict[str, Path], rules: dict[str, Any]) -> Iterator[str]:
    """A finding for each licence that is not allowed; each package is listed where it first is."""
    seen = set[str]()
    for name, site in sites.items():
        found = {k: v for k, v in licences(site, rules).items() if k not in seen}
        print(f"  {name}{' also' if seen else ''} needs\n{listed(found)}")
        seen |= found.keys()
        yield from refused(found, rules)


def licences(site: Path, rules: dict[str, Any]) -> dict[str, str]:
    """The licence of every package there but ours, by name."""
    packages = metadata.distributions(path=[str(site)])
    found = {canonicalize_name(each.name): declared(each) for each in packages}
    known = found | {k: v for k, v in rules["licence-of"].items() if k in found}
    return {name: known[name] for name in sorted(known) if name != PROJECT}


def declared(package: metadata.Distribution) -> str:
    """Its SPDX expression, else its classifiers, else the first line of its old License field."""
    facts: dict[str, Any] = dict(package.metadata.json)
    classifiers = [each for each in facts.get("classifier", []) if each.startswith("License :: ")]
    named = " AND ".join(each.split(" :: ")[-1] for each in classifiers)
    said: str = facts.get("license_expression") or named or facts.get("license") or "not said"
    return said.strip().splitlines()[0]


def refused(found: dict[str, str], rules: dict[str, Any]) -> Iterator[str]:
    """A finding for each licence that is not allowed; of an expression each part must be."""
    allowed = set(rules["licences"])
    for name, licence in found.items():
        if licence not in allowed and not set(re.split(r" (?:AND|OR) ", licence)) <= allowed:
            yield (
                f"{name} has the licence {licence!r}, which pyproject.toml does not allow: do"
                " without the package, or say in [tool.release] why it may be used"
            )


def listed(found: dict[str, str]) -> str:
    """A line for each licence, with its packages."""
    by_licence = {licence: [k for k in found if found[k] == licence] for licence in found.values()}
    return "\n".join(f"    {key}: {', '.join(by_licence[key])}" for key in sorted(by_licence))
