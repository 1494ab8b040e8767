// The worker as the browser runs it: through its listeners. Before each message it is started anew,
// so it can rely on nothing that it kept in variables.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { Antifake, PNG, TOKEN, TOKEN_ID, contract, formOf } from "./antifake.mjs";
import { ID, ORIGIN, browser } from "./browser.mjs";

const CHECK = contract("check");
const HASH = createHash("sha256").update(PNG).digest("hex");
const JUDGED = { ...CHECK, sha256: HASH };
const PAGE = "https://news.test/story?id=7";

let server;
let pictures;
let base;
let starts = 0;

before(async () => {
  pictures = createServer((request, response) => {
    response.writeHead(request.url.startsWith("/a%20cat") ? 200 : 404).end(PNG);
  });
  pictures.listen(0, "127.0.0.1");
  await once(pictures, "listening");
  base = `http://127.0.0.1:${pictures.address().port}`;
});
after(() => pictures.close());

beforeEach(async () => {
  browser();
  server = await new Antifake({
    "GET /state": "state",
    "POST /checks": [201, JUDGED],
    [`GET /checks/${CHECK.id}`]: [200, JUDGED],
    [`PUT /checks/${CHECK.id}/label`]: "check_corrected",
    "POST /labels:undo": "checks_undone",
  }).start();
  await chrome.storage.local.set({
    settings: { port: server.port },
    connection: {
      port: server.port,
      token: TOKEN,
      tokenId: TOKEN_ID,
      scopes: ["check", "correct"],
      name: "n",
    },
  });
});
afterEach(() => server.stop());

/** Starts the worker anew and sends it one message. Undefined if it does not answer. */
async function send(message, about = {}) {
  const { listeners } = chrome.runtime.onMessage;
  listeners.length = 0;
  starts += 1;
  await import(`../../../extension/background/worker.js?${starts}`);
  const sender = {
    id: ID,
    url: PAGE,
    frameId: 0,
    documentId: "document-1",
    tab: { id: 5, url: PAGE, title: "A story", incognito: false },
    ...about,
  };
  return new Promise((resolve) => {
    const willAnswer = listeners[0](message, sender, resolve);
    if (!willAnswer) {
      resolve(undefined);
    }
  });
}

function picture(more = {}) {
  return {
    kind: "image",
    url: `${base}/a%20cat.png?token=secret#x`,
    larger: null,
    linked: null,
    shown: { width: 10, height: 10 },
    natural: null,
    rect: null,
    ratio: 1,
    ...more,
  };
}

function check(more = {}, ofPicture = {}) {
  const answers = { linked: null };
  return {
    type: "picture.check",
    picture: picture(ofPicture),
    bytes: null,
    isAutomatic: false,
    answers,
    ...more,
  };
}

const PRIVATE = { tab: { id: 5, url: PAGE, title: "A story", incognito: true } };

test("a picture is fetched, judged and shown, and the toolbar counts it", async () => {
  const done = await send(check());
  assert.equal(done.state, "done");
  assert.equal(done.word, "Likely AI-made");
  const form = await formOf(server.asked[0]);
  assert.deepEqual(Buffer.from(await form.get("file").arrayBuffer()), PNG);
  assert.equal(form.get("name"), "a cat.png");
  assert.equal(form.get("page"), "news.test");
  assert.equal(form.get("priority"), "person");
  assert.equal(form.get("private"), "false");
  assert.equal(JSON.stringify([...form.keys()]).includes("url"), false);
  assert.equal(server.asked[0].body.includes("token=secret"), false);
  const badges = chrome.done.filter(([name]) => name === "badge");
  assert.deepEqual(badges.at(-1)[1], { tabId: 5, text: "1" });
});

test("the history learns of the page what the person allows", async () => {
  const told = async (settings) => {
    await chrome.storage.session.remove(`bytes:${HASH}`);
    await chrome.storage.local.set({ settings: { port: server.port, ...settings } });
    await send(check());
    const form = await formOf(server.asked.at(-1));
    return [form.get("page"), form.get("name")];
  };
  assert.deepEqual(await told({ sendPage: "no" }), [null, "a cat.png"]);
  assert.deepEqual(await told({ sendPage: "address" }), [PAGE, "a cat.png"]);
  assert.deepEqual(await told({ sendTitle: true }), ["news.test", "a cat.png – A story"]);
});

test("equal bytes are not sent again while the same model judges", async () => {
  await send(check());
  assert.equal((await send(check())).state, "done");
  const posts = () => server.asked.filter(({ path }) => path === "/checks").length;
  assert.equal(posts(), 2, "another model: the state of the contract has one");
  const state = contract("state");
  const uses = (model, prompt) => {
    server.answers["GET /state"] = [200, { ...state, model: { ...state.model, model, prompt } }];
  };
  uses(CHECK.model, CHECK.prompt);
  assert.equal((await send(check())).state, "done");
  assert.equal(posts(), 2);
  server.answers[`GET /checks/${CHECK.id}`] = "problem_not_found";
  assert.equal((await send(check())).state, "done");
  assert.equal(posts(), 3, "it was forgotten there");
  server.answers[`GET /checks/${CHECK.id}`] = [200, JUDGED];
  uses(CHECK.model, "another");
  await send(check());
  uses("another", CHECK.prompt);
  await send(check());
  assert.equal(posts(), 5);
});

test("a check that waits goes on with a worker that knows nothing", async () => {
  const ticket = contract("ticket_loading");
  server.answers["POST /checks"] = "ticket_loading";
  const waiting = await send(check());
  assert.deepEqual(
    [waiting.state, waiting.id, waiting.text, waiting.seen],
    ["waiting", ticket.id, "Loading the model…", "file"],
  );
  server.answers[`GET /checks/${ticket.id}`] = [202, { ...ticket, model: { phase: "ready" } }];
  assert.equal((await send({ type: "picture.poll", id: ticket.id })).text, "3 pictures before it…");
  server.answers[`GET /checks/${ticket.id}`] = [200, { ...JUDGED, id: ticket.id }];
  const done = await send({ type: "picture.poll", id: ticket.id });
  assert.deepEqual([done.state, done.seen], ["done", "Original file, 96 × 96"]);
});

test("corrections and their undoing are answered with the new verdict", async () => {
  await send(check());
  const id = CHECK.id;
  const corrected = await send({ type: "picture.correct", id, label: "real" });
  assert.deepEqual([corrected.word, corrected.canUndo], ["You said: real", true]);
  assert.deepEqual(JSON.parse(server.asked.at(-1).body), { label: "real" });
  assert.equal((await send({ type: "picture.undo", id })).state, "done");
  assert.deepEqual(JSON.parse(server.asked.at(-1).body), { ids: [id] });
});

test("a tab may not ask about what another tab or another page asked for", async () => {
  await send(check());
  const poll = { type: "picture.poll", id: CHECK.id };
  const asked = server.asked.length;
  for (const about of [
    { tab: { id: 6, url: PAGE, incognito: false } },
    { documentId: "document-2" },
  ]) {
    for (const message of [
      poll,
      { ...poll, type: "picture.undo" },
      { ...poll, type: "picture.details" },
    ]) {
      const { state, cause } = await send(message, about);
      assert.deepEqual([state, cause], ["problem", "gone"]);
    }
  }
  assert.equal(server.asked.length, asked);
  assert.equal((await send(poll)).state, "done");
});

test("nothing about a private window is kept or said", async () => {
  const done = await send(check(), PRIVATE);
  assert.deepEqual([done.state, done.isPrivate, done.canCorrect], ["done", true, false]);
  const form = await formOf(server.asked[0]);
  assert.deepEqual([form.get("private"), form.get("page"), form.get("name")], ["true", null, null]);
  assert.deepEqual(await chrome.storage.session.get(null), {});
  const poll = { type: "picture.poll", id: CHECK.id, seen: "screen" };
  assert.match((await send(poll, PRIVATE)).seen, /^Screen copy/);
  assert.deepEqual(await chrome.storage.session.get(null), {});
});

test("an automatic check waits behind those of people and asks nobody anything", async () => {
  const local = { tab: { id: 5, url: "http://localhost/", title: "", incognito: false } };
  await send(check({ isAutomatic: true }), local);
  assert.equal((await formOf(server.asked[0])).get("priority"), "batch");
  const linked = { linked: `${base}/large.png` };
  assert.equal((await send(check({ isAutomatic: true }, linked), local)).state, "done");
  const elsewhere = check({ isAutomatic: true }, { url: "https://cdn.test/a.png" });
  assert.deepEqual(await send(elsewhere), { state: "bytes", ways: ["page", "canvas"] });
  const failed = { ...elsewhere, bytes: { way: "canvas", base64: null } };
  assert.equal((await send(failed)).cause, "host-permission");
  const onThisComputer = await send(check({ isAutomatic: true }));
  assert.equal(onThisComputer.state, "bytes", "a page of the web has it asked for nothing here");
});

test("a linked file is checked only with the person's word, which is remembered", async () => {
  const linked = { url: `${base}/small.png`, linked: `${base}/a%20cat.png` };
  const question = await send(check({}, linked));
  assert.deepEqual([question.state, question.question], ["ask", "linked"]);
  assert.deepEqual(
    question.choices.map(({ id }) => id),
    ["yes", "no"],
  );
  const done = await send(check({ answers: { linked: "yes" } }, linked));
  assert.equal(done.seen, "Linked file, 96 × 96");
  assert.equal((await send(check({}, linked))).seen, "Linked file, 96 × 96");
});

test("without the permission the page is asked first, then the person", async () => {
  const wanted = { url: "https://cdn.test/a.png" };
  assert.deepEqual(await send(check({}, wanted)), { state: "bytes", ways: ["page", "canvas"] });
  const failed = check({ bytes: { way: "canvas", base64: null } }, wanted);
  const question = await send(failed);
  assert.equal(question.question, "permission");
  assert.match(question.text, /cdn\.test/);
  assert.deepEqual(
    question.choices.map(({ id }) => id),
    ["allow:https://cdn.test/*", "screen"],
  );
  await send({ type: "problem.act", action: question.choices[0].id });
  const [, { url }] = chrome.done.find(([name]) => name === "tabs.create");
  assert.equal(new URL(url).searchParams.get("origin"), "https://cdn.test/*");
  assert.ok(url.startsWith(`${ORIGIN}/pages/permission.html`));
});

test("bytes of the page are judged as what they are", async () => {
  const base64 = PNG.toString("base64");
  const of = async (kind, way) =>
    (await send(check({ bytes: { way, base64 } }, { kind, url: null }))).seen.split(",")[0];
  assert.equal(await of("image", "page"), "Original file");
  assert.equal(await of("canvas", "canvas"), "Drawing on the page");
  assert.match(await of("image", "canvas"), /^The picture as the page shows it/);
  assert.equal(await of("video", "canvas"), "One frame of the video");
  const html = Buffer.from("<!doctype html>").toString("base64");
  const refused = await send(check({ bytes: { way: "page", base64: html } }));
  assert.equal(refused.cause, "not-a-picture");
});

test("a picture that antifake cannot read is said to be unchecked, with its sentence", async () => {
  server.answers["POST /checks"] = "problem_unreadable";
  const failed = await send(check());
  assert.deepEqual([failed.state, failed.tone], ["done", "failed"]);
  assert.equal(failed.lines[0].text, contract("problem_unreadable").detail);
  assert.equal(
    await chrome.storage.session.get(`bytes:${HASH}`).then(Object.keys).then(String),
    "",
  );
});

test("the history opens with a link of this daemon only", async () => {
  await send(check());
  const message = { type: "picture.details", id: CHECK.id };
  const scope = await send(message);
  assert.deepEqual([scope.cause, scope.button.action], ["scope", "connect:open"]);
  const { connection } = await chrome.storage.local.get("connection");
  connection.scopes.push("open");
  await chrome.storage.local.set({ connection });
  for (const url of [
    "https://evil.test/",
    "http://127.0.0.1:1/",
    "javascript:1",
    "http://a.test/",
  ]) {
    server.answers["POST /logins"] = [200, { url }];
    assert.equal((await send(message)).state, "problem", url);
  }
  server.answers["POST /logins"] = [200, { url: `http://127.0.0.1:${server.port}/open?code=c` }];
  assert.deepEqual(await send(message), { state: "opened" });
  const opened = chrome.done.filter(([name]) => name === "tabs.create");
  assert.equal(opened.length, 1);
  assert.deepEqual(JSON.parse(server.asked.at(-1).body), { next: `/picture/${CHECK.id}` });
});

test("on a site where the person wants no checks, nothing is checked until they change it", async () => {
  await chrome.storage.local.set({ sites: { "news.test": "never" } });
  const refused = await send(check());
  assert.deepEqual([refused.cause, refused.button.action], ["site-never", "site-ask:news.test"]);
  assert.match(refused.text, /news\.test/);
  assert.deepEqual(server.requests, []);
  await send({ type: "problem.act", action: refused.button.action });
  assert.equal((await send(check())).state, "done");
});

test("a linked file that may not be loaded is asked for, or what is shown is checked", async () => {
  const linked = { url: `${base}/a%20cat.png`, linked: "https://full.test/large.jpg" };
  const yes = check({ answers: { linked: "yes" } }, linked);
  const question = await send(yes);
  assert.equal(question.question, "permission");
  assert.deepEqual(
    question.choices.map(({ id }) => id),
    ["allow:https://full.test/*", "no"],
  );
  const no = await send(check({ answers: { linked: "no" } }, linked));
  assert.equal(no.seen, "Preview, 96 × 96");
  const again = await send(check({}, linked));
  assert.equal(again.question, "permission", "the first word is remembered");
});

test("marks are on where the person wants them", async () => {
  const of = async (sites) => {
    await chrome.storage.local.set({ sites });
    return (await send({ type: "marks.ask" })).isOn;
  };
  assert.equal(await of({}), false);
  assert.equal(await of({ "news.test": "never" }), false);
  assert.equal(await of({ "news.test": "auto" }), true);
});

test("another extension is not answered at all", async () => {
  for (const id of ["ponmlkjihgfedcbaponmlkjihgfedcba", undefined]) {
    assert.equal(await send(check(), { id }), undefined);
  }
  assert.deepEqual(server.requests, []);
});

test("a message with wrong fields, of a page, or from no tab is refused", async () => {
  const refused = [
    [{ type: "picture.check" }],
    [{ type: "picture.forget", id: "a" }],
    ["picture.check"],
    [check(), { url: `${ORIGIN}/pages/options.html` }],
    [{ type: "pages.changed" }],
    [check(), { tab: undefined }],
  ];
  for (const [message, about] of refused) {
    const answer = await send(message, about);
    assert.deepEqual([answer.state, answer.cause], ["problem", "refused"]);
  }
  assert.deepEqual(server.requests, []);
});

test("without a connection the card says what to do, and the toolbar shows it", async () => {
  await chrome.storage.local.remove("connection");
  const { cause, button } = await send(check());
  assert.deepEqual([cause, button.action], ["not-paired", "connect"]);
  const badges = chrome.done.filter(([name]) => name === "badge");
  assert.equal(badges.at(-1)[1].text, "!");
  assert.deepEqual(server.asked, [], "no picture has left");
});

test("once the connection is mended, the toolbar and the cards are told", async () => {
  await chrome.storage.local.remove("connection");
  await send(check());
  assert.ok(await chrome.storage.session.get("problem:5").then((all) => all["problem:5"]));
  chrome.tabs.query = async () => [{ id: 5 }];
  const options = { url: `${ORIGIN}/pages/options.html` };
  assert.deepEqual(await send({ type: "pages.changed" }, options), {});
  assert.deepEqual(await chrome.storage.session.get("problem:5"), {});
  const told = chrome.done.filter(([name]) => name === "tabs.sendMessage");
  assert.ok(told.some(([, id, { type }]) => id === 5 && type === "card.retry"));
});

test("no start of the worker leaves the storage open to content scripts", async () => {
  await send({ type: "marks.ask" });
  assert.equal(chrome.storage.local.kept.get("(access)"), "TRUSTED_CONTEXTS");
});

/** Clicks the entry of the menu on a page that lets nothing in, and waits for the end. */
async function clickOn(srcUrl, tab = {}) {
  chrome.scripting.executeScript = async () => {
    throw new Error("Cannot access a chrome:// URL");
  };
  await send({ type: "marks.ask" });
  const info = { menuItemId: "check-picture", srcUrl, mediaType: "image", frameId: 0 };
  await chrome.contextMenus.onClicked.listeners.at(-1)(info, { id: 8, incognito: false, ...tab });
  const last = (wanted) => chrome.done.filter(([name]) => name === wanted).at(-1)[1];
  return [last("badge").text, last("title").title];
}

test("a picture on a page that lets nothing in is judged without a card", async () => {
  assert.deepEqual(await clickOn(`${base}/a%20cat.png`), [
    "1",
    "1 picture on this page is likely AI-made",
  ]);
  const [text, title] = await clickOn("chrome://theme/IDR_PRODUCT_LOGO");
  assert.equal(text, "!");
  assert.match(title, /no extension work on this page/);
  assert.match(
    (await clickOn("https://cdn.test/a.png"))[1],
    /may not load pictures from cdn\.test/,
  );
  assert.match((await clickOn(`${base}/missing.png`))[1], /cannot be loaded again/);
  const kept = (await chrome.storage.session.get("problem:8"))["problem:8"];
  assert.deepEqual([kept.cause, kept.button], ["gone", null], "no card could try again");
});

test("such a picture in a private window leaves nothing behind but the button's words", async () => {
  const seen = await clickOn(`${base}/a%20cat.png`, { incognito: true });
  assert.deepEqual(seen, ["1", "Likely AI-made 82 %"]);
  await clickOn("chrome://theme/IDR_PRODUCT_LOGO", { incognito: true });
  assert.deepEqual(await chrome.storage.session.get(null), {});
});

test("the menu is on pictures only, if the person wants that", async () => {
  await send({ type: "marks.ask" });
  const made = async (settings) => {
    await chrome.storage.local.set({ settings });
    await chrome.storage.onChanged.listeners.at(-1)({ settings: {} }, "local");
    return chrome.done.filter(([name]) => name === "menu.create").at(-1)[1].contexts;
  };
  assert.deepEqual(await made({ menuOnPicturesOnly: true }), ["image", "video"]);
  assert.ok((await made({})).includes("page"));
});

test("marks are injected on chosen sites that are allowed, and nowhere else", async () => {
  browser({ origins: ["http://127.0.0.1/*", "https://news.test/*", "http://never.test/*"] });
  await send({ type: "marks.ask" });
  const synced = async (sites) => {
    await chrome.storage.local.set({ sites });
    await chrome.storage.onChanged.listeners.at(-1)({ sites: {} }, "local");
    return chrome.done.filter(([name]) => name.startsWith("scripting.")).at(-1);
  };
  const sites = { "news.test": "auto", "never.test": "never", "other.test": "auto" };
  const [name, [script]] = await synced(sites);
  assert.equal(name, "scripting.register");
  assert.deepEqual(script.matches, ["https://news.test/*"]);
  chrome.scripting.getRegisteredContentScripts = async () => [script];
  assert.deepEqual(await synced({}), ["scripting.unregister", { ids: ["marks"] }]);
});

test("another page in the tab clears what was shown for the one before", async () => {
  await send(check());
  const moved = (result) => {
    chrome.scripting.executeScript = async () => [{ result }];
    return chrome.tabs.onUpdated.listeners.at(-1)(5, { status: "loading" });
  };
  const badge = () => chrome.done.filter(([name]) => name === "badge").at(-1)[1].text;
  await moved(17);
  assert.equal(badge(), "1", "the same page: a part of it was replaced");
  await moved(18);
  assert.equal(badge(), "");
  const left = Object.keys(await chrome.storage.session.get(null));
  assert.deepEqual(left, [`bytes:${HASH}`]);
});

test("a problem of a page is not shown on the next one", async () => {
  server.answers["POST /checks"] = [503, { code: "queue_full", detail: "" }];
  const local = { tab: { id: 5, url: "http://localhost/", title: "", incognito: false } };
  assert.equal((await send(check({ isAutomatic: true }), local)).cause, "queue-full");
  assert.deepEqual(await chrome.storage.session.get("problem:5"), {}, "nobody asked for it");
  assert.equal((await send(check())).cause, "queue-full");
  const kept = (await chrome.storage.session.get("problem:5"))["problem:5"];
  assert.deepEqual([kept.cause, kept.button.action], ["queue-full", "retry"]);
  chrome.scripting.executeScript = async () => [{ result: 18 }];
  await chrome.tabs.onUpdated.listeners.at(-1)(5, { status: "loading" });
  assert.deepEqual(await chrome.storage.session.get(null), {});
});

test("a daemon that answers nonsense ends in words, not in silence", async () => {
  for (const answer of [
    [200, "nonsense"],
    [200, null],
    [500, {}],
    [202, {}],
  ]) {
    server.answers["POST /checks"] = answer;
    const { state } = await send(check());
    assert.equal(state, "problem", JSON.stringify(answer));
  }
});
