import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { begin, cancel, look } from "../../../extension/lib/pairing.js";
import { loadConnection } from "../../../extension/lib/storage.js";
import { Antifake, TOKEN, TOKEN_ID, contract } from "./antifake.mjs";
import { browser } from "./browser.mjs";

const MADE = contract("pairing_created");
const POLL = `GET /pairings/${MADE.id}`;
let server;

beforeEach(async () => {
  browser();
  server = await new Antifake({
    "POST /pairings": "pairing_created",
    [POLL]: "pairing_waiting",
  }).start();
  await chrome.storage.local.set({ settings: { port: server.port } });
});
afterEach(() => server.stop());

test("a browser says its name, shows the code and stores the token once it is accepted", async () => {
  const pairing = await begin();
  const [asked] = server.asked;
  assert.deepEqual(JSON.parse(asked.body), {
    name: "Chromium extension on Linux",
    scopes: ["check", "correct"],
  });
  assert.equal(pairing.code, MADE.code);
  assert.equal(await look(pairing), "waiting");
  assert.equal(server.asked.at(-1).headers["x-pairing-secret"], MADE.secret);
  assert.equal(await loadConnection(), null);
  server.answers[POLL] = "pairing_accepted";
  assert.equal(await look(pairing), "accepted");
  assert.deepEqual(await loadConnection(), {
    port: server.port,
    token: TOKEN,
    tokenId: TOKEN_ID,
    scopes: ["check", "correct"],
    name: "Chromium extension on Linux",
  });
});

test("a token whose giver cannot prove itself is not stored", async () => {
  const pairing = await begin();
  server.answers[POLL] = "pairing_accepted";
  server.token = "another";
  await assert.rejects(look(pairing), { problem: "not-proved" });
  assert.equal(await loadConnection(), null);
});

test("a wider token takes the place of the one before, which is given back", async () => {
  const before = { port: server.port, token: TOKEN, tokenId: 1, scopes: ["check"], name: "n" };
  await chrome.storage.local.set({ connection: before });
  server.answers["DELETE /tokens/self"] = [204, ""];
  const pairing = await begin(["open"]);
  assert.deepEqual(JSON.parse(server.asked[0].body).scopes, ["check", "open"]);
  server.answers[POLL] = "pairing_accepted";
  assert.equal(await look(pairing), "accepted");
  const { method, path, headers } = server.asked.at(-1);
  assert.deepEqual([method, path], ["DELETE", "/tokens/self"]);
  assert.equal(headers.authorization, `Bearer ${TOKEN}`);
  assert.deepEqual((await loadConnection()).scopes, ["check", "open"]);
});

const ENDS = {
  pairing_rejected: "rejected",
  pairing_expired: "expired",
  problem_pairing_gone: "expired",
};
for (const [answer, state] of Object.entries(ENDS)) {
  test(`after ${answer} the pairing is ${state} and nothing is stored`, async () => {
    const pairing = await begin();
    server.answers[POLL] = answer;
    assert.equal(await look(pairing), state);
    assert.equal(await loadConnection(), null);
  });
}

test("an acceptance whose token was lost on its way is over", async () => {
  const pairing = await begin();
  server.answers[POLL] = [200, { state: "accepted" }];
  assert.equal(await look(pairing), "expired");
});

test("a pairing is withdrawn with its secret, also from a daemon that is gone", async () => {
  const pairing = await begin();
  server.answers[`DELETE /pairings/${MADE.id}`] = [204, ""];
  await cancel(pairing);
  assert.equal(server.asked.at(-1).method, "DELETE");
  assert.equal(server.asked.at(-1).headers["x-pairing-secret"], MADE.secret);
  await cancel({ ...pairing, port: 1 });
});

test("while another program waits, the browser cannot ask", async () => {
  server.answers["POST /pairings"] = "problem_too_many";
  await assert.rejects(begin(), { problem: "too-many" });
});
