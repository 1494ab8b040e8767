import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";

import {
  clipped,
  fromAddress,
  fromBase64,
  isLocal,
  isPicture,
  mayFetch,
  patternOf,
} from "../../../extension/background/bytes.js";
import { referrerOf } from "../../../extension/background/referrer.js";
import { PNG } from "./antifake.mjs";
import { browser } from "./browser.mjs";

const HOW = { withCookies: false, mayBeLocal: true, referrer: null, ms: 5000 };
const LARGE = 33 * 1024 * 1024;
let base;
let isDrained = false;
let requests = 0;

const server = createServer((request, response) => {
  requests += 1;
  const path = new URL(request.url, base).pathname;
  const end = (status, body) => response.writeHead(status).end(body);
  if (path === "/a.png") {
    end(200, PNG);
  } else if (path === "/page") {
    end(200, "<!doctype html><title>a page</title>".padEnd(LARGE));
  } else if (path === "/slow") {
    response.writeHead(200).write(PNG.subarray(0, 20));
  } else if (path === "/large") {
    response.writeHead(200);
    response.write(PNG);
    const more = () => !isDrained && response.write(Buffer.alloc(1024 * 1024), more);
    response.on("close", () => {
      isDrained = true;
    });
    more();
  } else if (path === "/guarded") {
    end(request.headers.referer === "http://page.test/" ? 200 : 403, PNG);
  } else {
    end(404, PNG);
  }
});

before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `http://127.0.0.1:${server.address().port}`;
});
after(async () => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  browser();
});

test("a picture is fetched as it is", async () => {
  assert.deepEqual(Buffer.from(await fromAddress(`${base}/a.png`, HOW)), PNG);
});

test("a page instead of a picture is given up at its first bytes", async () => {
  await assert.rejects(fromAddress(`${base}/page`, HOW), { problem: "not-a-picture" });
});

test("an error with a picture in it is no picture", async () => {
  await assert.rejects(fromAddress(`${base}/missing`, HOW), { problem: "gone" });
});

test("a picture without end is given up at 32 MB", async () => {
  await assert.rejects(fromAddress(`${base}/large`, { ...HOW, ms: 30_000 }), {
    problem: "too-large",
  });
  while (!isDrained) {
    await new Promise((done) => setTimeout(done, 20)); // the server is told
  }
});

test("a server that stops in the middle is not waited for", async () => {
  await assert.rejects(fromAddress(`${base}/slow`, { ...HOW, ms: 200 }), { problem: "gone" });
});

test("an automatic check does not ask this computer", async () => {
  const how = { ...HOW, mayBeLocal: false };
  const former = requests;
  await assert.rejects(fromAddress(`${base}/a.png`, how), { problem: "gone" });
  assert.equal(requests, former);
});

test("a refused picture is asked for again with its page, where the browser can say it", async () => {
  const how = { ...HOW, referrer: "http://page.test/" };
  await assert.rejects(fromAddress(`${base}/guarded`, how), { problem: "gone" });
  const rules = [];
  chrome.declarativeNetRequest = {
    updateSessionRules: async (change) => rules.push(change),
  };
  await assert.rejects(fromAddress(`${base}/guarded`, how), { problem: "gone" });
  const [on, off] = rules;
  const [{ action, condition, id }] = on.addRules;
  assert.deepEqual(action.requestHeaders, [
    { header: "Referer", operation: "set", value: "http://page.test/" },
  ]);
  assert.equal(condition.urlFilter, `|${base}/guarded|`);
  assert.deepEqual(condition.tabIds, [-1]);
  assert.deepEqual(condition.initiatorDomains, [chrome.runtime.id]);
  assert.deepEqual(off, { removeRuleIds: [id] });
});

test("a browser that never answers about a rule is not waited for", async () => {
  const how = { ...HOW, referrer: "http://page.test/" };
  const changes = [];
  chrome.declarativeNetRequest = {
    updateSessionRules: (change) => {
      changes.push(change);
      return new Promise(() => {});
    },
  };
  const former = requests;
  await assert.rejects(fromAddress(`${base}/guarded`, how), { problem: "gone" });
  assert.equal(requests - former, 1);
  assert.equal(changes.at(-1).addRules, undefined); // the rule does not stay
});

test("a picture says as much about its page as the browser does by default", () => {
  const page = "https://user:word@news.test/a/b?c#d";
  assert.equal(referrerOf(page, "https://cdn.test/x.png"), "https://news.test/");
  assert.equal(referrerOf(page, "https://news.test/x.png"), "https://news.test/a/b?c");
  assert.equal(referrerOf(page, "http://cdn.test/x.png"), null);
  assert.equal(referrerOf("chrome://version", "https://cdn.test/x.png"), null);
  assert.equal(referrerOf("", "https://cdn.test/x.png"), null);
});

test("data addresses are read without a network", async () => {
  const base64 = PNG.toString("base64");
  const escaped = [...PNG].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
  for (const url of [
    `data:image/png;base64,${base64}`,
    `DATA:image/png;charset=x;BASE64,${encodeURIComponent(base64)}`,
    `data:;base64,${base64.slice(0, 20)}\n ${base64.slice(20)}`,
    `data:image/png,${escaped}`,
  ]) {
    assert.deepEqual(Buffer.from(await fromAddress(url, HOW)), PNG, url.slice(0, 40));
  }
  for (const url of ["data:image/png;base64,%%%", "data:", "data:text/html,<b>no</b>"]) {
    await assert.rejects(fromAddress(url, HOW), { name: "DaemonError" }, url);
  }
});

test("what a page gives is taken only if it is a picture", () => {
  assert.deepEqual(Buffer.from(fromBase64(PNG.toString("base64"))), PNG);
  assert.throws(() => fromBase64("!"), { problem: "gone" });
  assert.throws(() => fromBase64(btoa("<svg xmlns='http://www.w3.org/2000/svg'/>")), {
    problem: "not-a-picture",
  });
});

test("pictures are known by their first bytes", () => {
  const starts = ["\xff\xd8\xff\xe0", "\x89PNG\r\n\x1a\n", "GIF89a", "RIFF\0\0\0\0WEBPVP8 "];
  starts.push("BM\0\0", "II*\0", "MM\0*", "\0\0\0\x1cftypavif", "\0\0\0\x18ftypheic");
  for (const start of starts) {
    assert.ok(isPicture(Uint8Array.from(start, (one) => one.charCodeAt(0))), start);
  }
  for (const start of [
    "",
    "<svg",
    "%PDF",
    "RIFF\0\0\0\0WAVE",
    "\0\0\0\x18ftypmp42",
    "PK\x03\x04",
  ]) {
    assert.ok(!isPicture(Uint8Array.from(start, (one) => one.charCodeAt(0))), start);
  }
});

test("addresses of this computer and of private networks are known, however they are written", () => {
  const local = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0.0.0.0",
    "localhost",
    "a.localhost",
  ];
  local.push("10.1.2.3", "172.16.0.1", "172.31.255.1", "192.168.1.1", "169.254.169.254");
  local.push("100.64.0.1", "router", "nas.local", "db.internal", "[::1]", "[::]", "[fd00::1]");
  local.push("[fe80::1]", "[::ffff:127.0.0.1]", "[::ffff:a00:1]", "localhost.", "224.0.0.1");
  for (const host of local) {
    assert.ok(isLocal(`http://${host}/a`), host);
  }
  const wide = ["example.org", "8.8.8.8", "172.32.0.1", "100.128.0.1", "192.169.1.1"];
  for (const host of [...wide, "[2606:4700::1]", "10.example.org", "localhost.example.org"]) {
    assert.ok(!isLocal(`https://${host}/a`), host);
  }
});

test("the permission is looked up before anything is fetched", async () => {
  browser({ origins: ["https://cdn.test/*"] });
  assert.equal(patternOf("https://cdn.test:8443/a?b"), "https://cdn.test/*");
  assert.equal(patternOf("blob:https://cdn.test/1"), null);
  assert.equal(await mayFetch("https://cdn.test:8443/a"), true);
  assert.equal(await mayFetch("http://cdn.test/a"), false);
  assert.equal(await mayFetch("data:image/png,x"), true);
  assert.equal(await mayFetch("blob:https://cdn.test/1"), false);
});

test("a screen copy has the part that is in view, in pixels of the screen", () => {
  const size = { width: 800, height: 600 };
  const of = (x, y, width, height) => clipped({ x, y, width, height }, 2, size);
  assert.deepEqual(of(10, 20, 100, 50), { x: 20, y: 40, width: 200, height: 100 });
  assert.deepEqual(of(-10, 290, 100, 50), { x: 0, y: 580, width: 180, height: 20 });
  assert.ok(of(500, 0, 100, 100).width <= 0);
  assert.ok(of(0, -200, 100, 100).height <= 0);
});
