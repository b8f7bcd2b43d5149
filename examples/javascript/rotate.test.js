// Test rotate.js against the mock. The tests control the mock over HTTP. To run them:
//
//     python -m flashback_mock &
//     FLASHBACK_BASE_URL=http://127.0.0.1:4010 FLASHBACK_TOKEN=owner-token npm test

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";

import { RotationError, rotate } from "./rotate.js";

const admin = async (method, path, content) => {
  const body = content === undefined ? undefined : JSON.stringify(content);
  const url = `${process.env.FLASHBACK_BASE_URL}/__admin/${path}`;
  const response = await fetch(url, { method, body, signal: AbortSignal.timeout(5_000) });
  const result = await response.json();
  assert.ok(response.ok, result.message);
  return result;
};

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const isReady = () => admin("GET", "health").then(() => true, () => false);

before(async () => {
  const end = Date.now() + 10_000;
  while (Date.now() < end && !(await isReady())) await sleep(50);
});

after(() => admin("POST", "reset")); // so that the mock's tokens are valid again

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

test("waits for the time given in Retry-After", async () => {
  const tooMany = { status: 429, headers: { "Retry-After": "0.2" } };
  await admin("POST", "settings", { answerNext: [tooMany, { fault: "reset" }] });
  await rotate(id, "new-secret");
  const { requests } = await admin("POST", "requests/wait", { configuration: id, count: 3 });
  assert.deepEqual(requests.map((request) => request.status), [429, 0, 200]);
  assert.ok(new Date(requests[1].time) - new Date(requests[0].time) >= 190);
});

test("does not retry a rejected update", async () => {
  await admin("POST", "members", { user: "owner", access: "READ" });
  await assert.rejects(rotate(id, "new-secret"), RotationError);
  const { requests } = await admin("GET", "requests");
  assert.deepEqual(requests.map((request) => request.status), [403]);
  const { reveals } = await admin("POST", `configurations/${id}/reveals`, { secret: "new-secret" });
  assert.equal(reveals, false);
});

test("reports an expired token", async () => {
  await admin("POST", "tokens/expire", { token: process.env.FLASHBACK_TOKEN });
  await assert.rejects(rotate(id, "new-secret"), { status: 401 });
});

test("does not follow a redirect, which could send the secret to another server", async (context) => {
  const url = process.env.FLASHBACK_BASE_URL;
  const headers = { Connection: "close", Location: `${url}/ai/llm/${id}` };
  const server = createServer((_, response) => response.writeHead(307, headers).end());
  await once(server.listen(0, "127.0.0.1"), "listening");
  context.after(() => server.close());
  process.env.FLASHBACK_BASE_URL = `http://127.0.0.1:${server.address().port}`;
  context.after(() => { process.env.FLASHBACK_BASE_URL = url; });
  await assert.rejects(rotate(id, "new-secret"), { status: 307 });
});
