"""What a change of the contract asks of the contract tests: nothing, or words that say what."""

from tests.contract_command.conftest import Backend, ChangedContract, Contract

MEMBERS = "enum: [OPENAI, GOOGLE, ANTHROPIC, AWS, OTHER]"
FIELDS = "        aiType:\n          $ref:"
PATHS = "paths:\n"
SECOND_OPERATION = """paths:
  /ai/llm:
    get:
      operationId: listAiLlms
      responses:
        '200':
          description: All configurations.
"""


def test_second_operation_is_named(
    contract: Contract, backend: Backend, changed_contract: ChangedContract
) -> None:
    """Another operation of the contract is not tested, and the verdict says so."""
    checkout = changed_contract(PATHS, SECOND_OPERATION)
    with backend() as given:
        options = ("-k", "test_missing_body or test_valid_body", "--max-examples", "3")
        done = contract(*options, checkout=checkout, **given)
    assert done.status == 0, done.output + done.errors
    assert done.verdict["counts"]["kept"] == 2
    assert "only updateAiLlm is tested, not listAiLlms" in done.output


def test_new_member_needs_no_edit(contract: Contract, changed_contract: ChangedContract) -> None:
    """A value that is added to `aiType` is accepted, and is no longer a near miss."""
    near = ("-k", "test_near_miss_answers_400[aiType]")
    before = contract(*near)
    checkout = changed_contract(MEMBERS, MEMBERS.replace("OTHER", "MISTRAL, OTHER"))
    after = contract(*near, checkout=checkout)
    valid = contract("-k", "test_unusual_value_answers_200[aiType]", checkout=checkout)
    assert before.status == after.status == valid.status == 0, after.output + valid.output
    assert before.verdict["statuses"]["200"] == after.verdict["statuses"]["200"]


def test_new_field_needs_values(
    contract: Contract, backend: Backend, changed_contract: ChangedContract
) -> None:
    """A new field without test values gets no verdict; the message says what to add."""
    field = "        region:\n          type: string\n"
    checkout = changed_contract(FIELDS, field + FIELDS)
    with backend() as given:
        without_example = contract(checkout=checkout, **given)
        file = checkout / "openapi.yaml"
        everything = "                  name: Updated OpenAI Config\n"
        text = file.read_text("utf-8").replace(
            everything, f"{everything}                  region: eu\n"
        )
        file.write_text(text, "utf-8")
        without_values = contract(checkout=checkout, **given)
    assert without_example.status == without_values.status == 2
    assert "the example `everything` has no region; add it" in without_example.errors
    assert "UNUSUAL has no values of region; add some" in without_values.errors
