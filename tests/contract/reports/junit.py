"""The verdict as JUnit XML, for whatever draws test results in CI."""

from xml.etree import ElementTree as ET

from reports import words
from reports.words import Finding, Promise, Verdict


def render(verdict: Verdict) -> str:
    """Return a test suite with one test case for each promise."""
    verdict = words.readable(verdict)
    findings = {finding["id"]: finding for finding in verdict["findings"]}
    suites = ET.Element("testsuites")
    suite = ET.SubElement(suites, "testsuite", name=verdict["contract"]["title"])
    _add_properties(
        suite,
        result=verdict["result"],
        contract=verdict["contract"]["version"],
        backend=verdict["backend"]["url"],
        seed=verdict["seed"],
    )
    for promise in verdict["promises"]:
        own = [findings[id] for id in promise["findings"]]
        _add_promise(suite, promise, own, require_all=verdict["selection"]["require_all"])
    if verdict["result"] == "no verdict":
        case = ET.SubElement(suite, "testcase", classname="verdict", name="no verdict")
        message = f"{verdict['reason']} {verdict['cure']}".strip()
        ET.SubElement(case, "error", message=message)
    suite.set("timestamp", verdict["started"])
    suite.set("time", f"{verdict['seconds']:.1f}")
    suite.set("tests", str(len(suite.findall("testcase"))))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _add_promise(
    suite: ET.Element, promise: Promise, findings: list[Finding], *, require_all: bool
) -> None:
    case = ET.SubElement(suite, "testcase", classname=promise["family"], name=promise["name"])
    _add_properties(
        case,
        sentence=promise["sentence"],
        clause=promise["clause"],
        source=promise["source"],
        outcome=promise["outcome"],
        requests=promise["requests"],
    )
    titles = "; ".join(finding["title"] for finding in findings)
    if promise["outcome"] == "broken":
        # A rule that --fail-on leaves out is broken all the same, but must not turn CI red.
        decides = any(finding["decides"] for finding in findings)
        element = ET.SubElement(case, "failure" if decides else "skipped", message=titles)
        element.text = "\n\n".join(map(_explained, findings))
    elif promise["outcome"] == "accepted":
        ET.SubElement(case, "skipped", message=f"accepted deviation: {titles}")
    elif promise["outcome"] == "not tested":
        tag = "error" if require_all else "skipped"
        ET.SubElement(case, tag, message=f"not tested: {promise['reason']}")


def _add_properties(parent: ET.Element, **properties: object) -> None:
    group = ET.SubElement(parent, "properties")
    for name, value in properties.items():
        ET.SubElement(group, "property", name=name, value=str(value))


def _explained(finding: Finding) -> str:
    lines = [
        finding["title"],
        f"expected: {finding['expected']}",
        f"got: {finding['got']}",
        f"clause: {words.clause_reference(finding)}: {finding['clause']['text']}",
        f"seen in {words.plural(finding['count'], 'request')}, id {finding['id']}",
    ]
    for example in finding["examples"]:
        lines += [f"sent: {example['sent']}", example["curl"]]
    return "\n".join(lines)
