import assert from "node:assert/strict";
import { test } from "node:test";

import { MESSAGES, fault } from "../../../extension/lib/messages.js";

const PICTURE = {
  kind: "image",
  url: "https://site.test/a.png",
  larger: null,
  linked: null,
  shown: { width: 10, height: 10 },
  natural: null,
  rect: { x: -5, y: 0, width: 10, height: 10 },
  ratio: 2,
};
const CHECK = {
  type: "picture.check",
  picture: PICTURE,
  bytes: null,
  isAutomatic: false,
  answers: { linked: null },
};

test("a check as the content script sends it is accepted", () => {
  assert.equal(fault(CHECK, "content"), null);
  assert.equal(fault({ ...CHECK, bytes: { way: "screen", base64: null } }, "content"), null);
  assert.equal(fault({ type: "marks.ask" }, "content"), null);
  assert.equal(fault({ type: "pages.changed" }, "page"), null);
});

test("what is no message is refused", () => {
  for (const value of [null, undefined, 1, "picture.check", [], [CHECK], {}, { type: 1 }]) {
    assert.notEqual(fault(value, "content"), null, JSON.stringify(value));
  }
  for (const type of ["toString", "__proto__", "constructor", "picture.forget"]) {
    assert.notEqual(fault({ type }, "content"), null, type);
  }
});

test("a message of the wrong sender is refused", () => {
  for (const [type, { from }] of Object.entries(MESSAGES)) {
    for (const sender of ["content", "page", "worker"]) {
      const isRefused = fault({ type }, sender) === "wrong sender";
      assert.equal(isRefused, !from.includes(sender), `${type} from ${sender}`);
    }
  }
});

test("each wrong field is refused", () => {
  const wrong = [
    { ...CHECK, picture: null },
    { ...CHECK, isAutomatic: "yes" },
    { ...CHECK, answers: { linked: "always" } },
    { ...CHECK, answers: {} },
    { ...CHECK, more: 1 },
    { ...CHECK, bytes: { way: "network", base64: null } },
    { ...CHECK, bytes: { way: "page", base64: 5 } },
    ...[
      { kind: "frame" },
      { url: "file:///etc/passwd" },
      { url: "javascript:alert(1)" },
      { url: "chrome://version" },
      { url: `https://site.test/${"a".repeat(70_000)}` },
      { larger: 5 },
      { linked: "ftp://site.test/a.png" },
      { shown: { width: NaN, height: 1 } },
      { shown: { width: -1, height: 1 } },
      { natural: { width: 1 } },
      { rect: { x: 0, y: 0, width: Infinity, height: 1 } },
      { ratio: 0 },
      { ratio: 1e9 },
    ].map((part) => ({ ...CHECK, picture: { ...PICTURE, ...part } })),
  ];
  for (const message of wrong) {
    assert.equal(fault(message, "content"), "wrong fields", JSON.stringify(message).slice(0, 200));
  }
});

test("ids and actions cannot lead elsewhere", () => {
  for (const id of ["", "../tokens", "a/b", "a?b", "a".repeat(41), 5, null]) {
    assert.equal(fault({ type: "picture.poll", id }, "content"), "wrong fields", String(id));
  }
  for (const action of ["", "open it", "allow:", "ALLOW", `allow:${"x".repeat(500)}`]) {
    assert.equal(fault({ type: "problem.act", action }, "content"), "wrong fields", action);
  }
  assert.equal(fault({ type: "problem.act", action: "allow:https://cdn.test/*" }, "content"), null);
});
