import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import {
  forgetTab,
  pageOf,
  recall,
  recallBytes,
  remember,
  rememberBytes,
  resultsOf,
  setPage,
} from "../../../extension/lib/results.js";
import {
  DEFAULTS,
  closeStorage,
  loadConnection,
  loadSettings,
  loadSites,
  saveConnection,
  saveSettings,
  setSite,
  siteMode,
  siteOf,
} from "../../../extension/lib/storage.js";
import { browser } from "./browser.mjs";

const RESULT = { tone: "made", word: "AI-made", sure: "", seen: "file", name: "", document: null };

beforeEach(() => {
  browser();
});

test("content scripts are kept out of the storage", async () => {
  await closeStorage();
  assert.equal(chrome.storage.local.kept.get("(access)"), "TRUSTED_CONTEXTS");
});

test("settings with values that are not allowed count as never set", async () => {
  assert.deepEqual(await loadSettings(), DEFAULTS);
  await saveSettings({ linked: "yes", sendPage: "no" });
  await saveSettings({ linked: "perhaps", port: 99999, other: 1 });
  assert.deepEqual(await loadSettings(), { ...DEFAULTS, linked: "yes", sendPage: "no" });
  await chrome.storage.local.set({ settings: { sendTitle: "true", port: "8765" } });
  assert.deepEqual(await loadSettings(), DEFAULTS);
});

test("a connection that is not whole is none", async () => {
  assert.equal(await loadConnection(), null);
  const whole = { port: 8765, token: "t", tokenId: 1, scopes: ["check"], name: "n" };
  await saveConnection(whole);
  assert.deepEqual(await loadConnection(), whole);
  for (const name of ["port", "token", "tokenId", "scopes"]) {
    await chrome.storage.local.set({ connection: { ...whole, [name]: null } });
    assert.equal(await loadConnection(), null, name);
  }
});

test("a site is known by its host, also one with the name of a property", async () => {
  await setSite("news.test", "auto");
  await setSite("constructor", "never");
  assert.deepEqual(await loadSites(), { "news.test": "auto", constructor: "never" });
  assert.equal(await siteMode("toString"), null);
  await setSite("news.test", null);
  assert.deepEqual(await loadSites(), { constructor: "never" });
  assert.equal(siteOf("https://News.test:8443/a?b"), "news.test");
  assert.equal(siteOf("chrome://version"), null);
  assert.equal(siteOf(undefined), null);
});

test("checks that end at the same time all keep their results", async () => {
  const ids = Array.from({ length: 40 }, (_, i) => `id${i}`);
  await Promise.all(ids.map((id, at) => remember(1, { ...RESULT, id, at })));
  await remember(11, { ...RESULT, id: "other", at: 0 });
  const found = await resultsOf(1);
  assert.deepEqual(
    found.map(({ id }) => id),
    [...ids].reverse(),
  );
  assert.equal(await recall(11, "id1"), null);
});

test("only so many results are kept", async () => {
  for (let at = 0; at < 210; at += 1) {
    await remember(1, { ...RESULT, id: `id${at}`, at });
  }
  const found = await resultsOf(1);
  assert.equal(found.length, 200);
  assert.equal(found.at(-1).id, "id10");
  for (let at = 0; at < 1010; at += 1) {
    await rememberBytes(`hash${at}`, { id: "a", model: "m", prompt: "p", at });
  }
  assert.equal(await recallBytes("hash9"), null);
  assert.equal((await recallBytes("hash10")).at, 10);
});

test("a tab is forgotten whole, and no other with it", async () => {
  await remember(1, { ...RESULT, id: "a", at: 1 });
  await remember(12, { ...RESULT, id: "b", at: 1 });
  await setPage(1, 5);
  await forgetTab(1);
  assert.deepEqual(await resultsOf(1), []);
  assert.equal(await pageOf(1), null);
  assert.equal((await resultsOf(12)).length, 1);
});
