// Tests of rotate.js against the mock, which it controls over HTTP:
//
//     python -m flashback_mock &
//     FLASHBACK_BASE_URL=http://127.0.0.1:4010 FLASHBACK_TOKEN=owner-token node --test

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { RefusedError, rotate } from "./rotate.js";

const admin = async (method, path, content) => {
  const body = content === undefined ? undefined : JSON.stringify(content);
  const response = await fetch(`${process.env.FLASHBACK_BASE_URL}/__admin/${path}`, { method, body });
  const answer = await response.json();
  assert.ok(response.ok, answer.message);
  return answer;
};

let id;
beforeEach(async () => {
  await admin("POST", "reset");
  const fixtures = await admin("GET", "fixtures");
  id = fixtures.ids.main;
});

test("stores the new secret", async () => {
  await rotate(id, "new-secret");
  const { updated, message } = await admin("POST", `configurations/${id}/updated`, { secret: "new-secret" });
  assert.ok(updated, message);
});

test("waits as long as Retry-After says", async () => {
  const tooMany = { status: 429, headers: { "Retry-After": "0.2" } };
  await admin("POST", "settings", { answerNext: [tooMany, { fault: "reset" }] });
  await rotate(id, "new-secret");
  const { requests } = await admin("POST", "requests/wait", { configuration: id, count: 3 });
  assert.deepEqual(requests.map((request) => request.status), [429, 0, 200]);
  assert.ok(new Date(requests[1].time) - new Date(requests[0].time) >= 190);
});

test("does not retry what is refused", async () => {
  await admin("POST", "members", { user: "owner", access: "READ" });
  await assert.rejects(rotate(id, "new-secret"), RefusedError);
  const { requests } = await admin("GET", "requests");
  assert.deepEqual(requests.map((request) => request.status), [403]);
  const { reveals } = await admin("POST", `configurations/${id}/reveals`, { secret: "new-secret" });
  assert.equal(reveals, false);
});

test("reports an expired token", async () => {
  await admin("POST", "tokens/expire", { token: process.env.FLASHBACK_TOKEN });
  await assert.rejects(rotate(id, "new-secret"), { status: 401 });
});
