import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { call, find, ports, proven } from "../../../extension/lib/daemon.js";
import { diagnose } from "../../../extension/lib/doctor.js";
import { Antifake, TOKEN, TOKEN_ID, contract } from "./antifake.mjs";
import { browser } from "./browser.mjs";

/** @type {Antifake[]} */
let servers = [];
const STATE = { method: "GET", path: "/state" };

beforeEach(() => {
  browser();
});

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  servers = [];
});

async function running(answers = {}, token = TOKEN) {
  const server = new Antifake({ "GET /state": "state", ...answers });
  server.token = token;
  servers.push(await server.start());
  return server;
}

/** A connection to it, whose port is the only one that is looked at. */
async function connected({ port }) {
  const connection = {
    port,
    token: TOKEN,
    tokenId: TOKEN_ID,
    scopes: ["check"],
    name: "Chromium extension on Linux",
  };
  await chrome.storage.local.set({ settings: { port }, connection });
  return connection;
}

test("the last port is tried first, then the usual ones; a chosen port is the only one", () => {
  assert.deepEqual(ports(null, null).slice(0, 2), [8765, 8766]);
  assert.equal(ports(null, null).at(-1), 8785);
  assert.deepEqual(ports(9000, null).slice(0, 2), [9000, 8765]);
  assert.equal(ports(8770, null).filter((port) => port === 8770).length, 1);
  assert.deepEqual(ports(8770, 9000), [9000]);
});

test("antifake proves itself, and only then gets the token", async () => {
  const server = await running();
  const answer = await call(await connected(server), STATE);
  assert.deepEqual(answer.body, contract("state"));
  const [hello, asked] = server.requests;
  assert.equal(hello.headers.authorization, undefined);
  assert.equal(hello.body.includes(TOKEN), false);
  assert.equal(asked.headers.authorization, `Bearer ${TOKEN}`);
});

test("every call asks for a proof of its own, with another nonce", async () => {
  const server = await running();
  const connection = await connected(server);
  await call(connection, STATE);
  await call(connection, STATE);
  const hellos = server.requests.filter(({ path }) => path === "/hello");
  const nonces = new Set(hellos.map(({ body }) => JSON.parse(body).nonce));
  assert.equal(nonces.size, 2);
});

const IMPOSTORS = {
  "has another token": { token: "another" },
  "answers with the proof of another port": {
    answers: { "POST /hello": "hello" },
  },
  "answers with no proof": { answers: { "POST /hello": [200, {}] } },
  "answers with no JSON": { answers: { "POST /hello": [200, "<html>"] } },
  "knows no hello": { answers: { "POST /hello": [404, {}] } },
};
for (const [what, { answers, token }] of Object.entries(IMPOSTORS)) {
  test(`a program on the port gets no token if it ${what}`, async () => {
    const server = await running(answers, token);
    const connection = await connected(server);
    await assert.rejects(call(connection, STATE), { problem: "not-proved" });
    assert.equal(JSON.stringify(server.requests).includes(TOKEN), false);
    assert.deepEqual(server.asked, []);
  });
}

test("another program on the port is called so", async () => {
  const server = await running({
    "GET /health": [200, { service: "other" }],
    "POST /hello": [404, {}],
  });
  await connected(server);
  await assert.rejects(find(), { problem: "stranger" });
  assert.equal((await diagnose()).cause, "stranger");
});

test("nobody on the port means that antifake is not running", async () => {
  const server = await running();
  const connection = await connected(server);
  await server.stop();
  servers = [];
  await assert.rejects(proven(connection), { problem: "not-running" });
  const { cause, text, button } = await diagnose();
  assert.equal(cause, "not-running");
  assert.match(text, /not running/);
  assert.equal(button.action, "retry");
});

test("a newer API is said to be another version", async () => {
  const server = await running({ "GET /health": [200, { ...contract("health"), api: "v2" }] });
  await connected(server);
  await assert.rejects(find(), { problem: "version" });
});

test("without the permission for 127.0.0.1 nothing is asked", async () => {
  browser({ origins: [] });
  const server = await running();
  const connection = await connected(server);
  await assert.rejects(call(connection, STATE), { problem: "blocked" });
  assert.deepEqual(server.requests, []);
});

const PROBLEMS = {
  problem_scope: "scope",
  problem_unauthorized: "revoked",
  problem_wrong_origin: "revoked",
  problem_queue_full: "queue-full",
  problem_too_many: "too-many",
  problem_no_model: "no-model",
  problem_too_large: "too-large",
  problem_not_found: "gone",
};
for (const [name, cause] of Object.entries(PROBLEMS)) {
  test(`the answer ${name} is the cause ${cause}, with a sentence of its own`, async () => {
    const server = await running({ "GET /state": name });
    const connection = await connected(server);
    const { detail } = contract(name);
    await assert.rejects(call(connection, STATE), { problem: cause, detail });
    const found = await diagnose();
    assert.equal(found.cause, cause);
    assert.notEqual(found.text, `problem_${cause.replaceAll("-", "_")}`);
  });
}

test("without a model a picture has an answer only if its file says that AI made it", async () => {
  const of = (basis) => [
    503,
    { ...contract("problem_no_model"), check: { ...contract("check_failed"), basis } },
  ];
  const server = await running({ "GET /state": of("none") });
  const connection = await connected(server);
  await assert.rejects(call(connection, STATE), { problem: "no-model" });
  for (const basis of ["signed", "marked"]) {
    server.answers["GET /state"] = of(basis);
    assert.equal((await call(connection, STATE)).body.check.basis, basis);
  }
});

test("an answer that is a redirection is not followed", async () => {
  const other = await running();
  const server = await running();
  server.server.removeAllListeners("request");
  server.server.on("request", (_, response) => {
    response.writeHead(307, { Location: `http://127.0.0.1:${other.port}/api/v1/hello` });
    response.end();
  });
  const connection = await connected(server);
  await assert.rejects(call(connection, STATE));
  assert.deepEqual(other.requests, []);
});

/** Has a server send bytes to every request, for ever. @param {Antifake} server @returns {{sent: number}} */
function endless(server) {
  const counted = { sent: 0 };
  const piece = Buffer.alloc(2 ** 16, " ");
  server.server.removeAllListeners("request");
  server.server.on("request", (_, response) => {
    response.on("error", () => {});
    response.writeHead(200, { "Content-Type": "application/json" });
    const more = () => {
      while (!response.destroyed && response.write(piece)) {
        counted.sent += piece.length;
      }
    };
    response.on("drain", more);
    more();
  });
  return counted;
}

test("a program on the port that sends without end is left, and gets no token", async () => {
  const server = await running();
  const connection = await connected(server);
  const counted = endless(server);
  await assert.rejects(call(connection, STATE), { problem: "stranger" });
  assert.ok(counted.sent < 64 * 2 ** 20, `${counted.sent}`);
  assert.equal(JSON.stringify(server.requests).includes(TOKEN), false);
});

test("an answer that never ends is no answer", async () => {
  const server = await running();
  const connection = await connected(server);
  const [honest] = server.server.listeners("request");
  endless(server);
  const [lying] = server.server.listeners("request");
  server.server.removeAllListeners("request");
  server.server.on("request", (request, response) =>
    (request.url.endsWith("/hello") ? honest : lying)(request, response),
  );
  assert.equal((await call(connection, STATE)).body, null);
});

test("a refusal is shown as a sentence, however long it is", async () => {
  const detail = "<b>x</b>".repeat(10_000);
  const server = await running({ "GET /state": [409, { detail, code: {} }] });
  const connection = await connected(server);
  await assert.rejects(call(connection, STATE), ({ problem, detail: shown }) => {
    assert.equal(problem, "refused");
    return shown.length === 500;
  });
});

test("a model that loads and a model that is broken are said", async () => {
  const state = contract("state");
  const of = (model) => [200, { ...state, model: { ...state.model, ...model } }];
  const server = await running({ "GET /state": of({ phase: "loading" }) });
  await connected(server);
  assert.equal((await diagnose()).cause, "loading");
  server.answers["GET /state"] = of({ phase: "broken", why: "The disk is full." });
  const broken = await diagnose();
  assert.equal(broken.cause, "no-model");
  assert.match(broken.text, /The disk is full\./);
  server.answers["GET /state"] = "state";
  assert.equal((await diagnose()).cause, "ok");
});
