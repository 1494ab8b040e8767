import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { confirmable, toneOf, viewOf, wordOf } from "../../../extension/lib/verdict.js";
import { count, words } from "../../../extension/lib/words.js";
import { contract } from "./antifake.mjs";
import { browser } from "./browser.mjs";

const ABOUT = { seen: "file", scopes: ["check", "correct"], isPrivate: false };

beforeEach(() => {
  browser();
});

const SHOWN = {
  check: ["made", "Likely AI-made", "82 %", "Original file, 96 × 96"],
  check_real: ["real", "Likely real", "82 %", "Original file, 96 × 96"],
  check_unsure: ["unsure", "Cannot tell", "", "Original file, 96 × 96"],
  check_failed: ["failed", "Could not be checked", "", "Original file"],
  check_corrected: ["real", "You said: real", "", "Original file, 96 × 96"],
  check_near_copy: ["made", "You said: AI-made", "", "Original file, 96 × 96"],
};
for (const [name, [tone, word, , seen]] of Object.entries(SHOWN)) {
  test(`${name} is shown as "${word}"`, () => {
    const check = contract(name);
    const view = viewOf(check, ABOUT);
    assert.deepEqual([view.tone, view.word, view.seen], [tone, word, seen]);
    assert.equal(view.sure, check.percent === null ? "" : `${check.percent} %`);
    assert.deepEqual(
      view.lines.map(({ text }) => text),
      check.explanation,
    );
    assert.equal(view.id, check.id);
  });
}

const SUMMARY = "Maker Ltd signed that AI made it. The model found no trace of AI.";
const ofFile = (basis, about = {}) => ({
  ...contract("check_real"),
  basis,
  explanation: [SUMMARY, ...contract("check_real").explanation],
  ...about,
});

test("what the file says of itself is the headline, with its own lines below", () => {
  for (const [basis, word] of [
    ["signed", "Declared AI-made"],
    ["marked", "Marked as AI-made"],
  ]) {
    const check = ofFile(basis);
    const view = viewOf(check, ABOUT);
    assert.deepEqual([view.tone, view.word, view.sure], ["made", word, ""]);
    assert.equal(view.lines[0].text, SUMMARY);
    assert.equal(confirmable(check), "fake");
  }
});

test("without a headline of its own, the file changes nothing of the model's", () => {
  const view = viewOf(ofFile("model"), ABOUT);
  assert.deepEqual([view.tone, view.word, view.sure], ["real", "Likely real", "96 %"]);
  assert.equal(view.lines[0].text, SUMMARY);
});

test("a file answers where the model could not", () => {
  const check = ofFile("marked", { label: null, percent: null });
  assert.deepEqual([toneOf(check), wordOf(check)], ["made", "Marked as AI-made"]);
});

test("what the person said counts more than the file", () => {
  const { said } = contract("check_corrected");
  const view = viewOf(ofFile("you", { said, percent: null }), ABOUT);
  assert.deepEqual([view.tone, view.word, view.sure], ["real", "You said: real", ""]);
});

test("what the person said can be taken back, but not what was said of a near-copy", () => {
  const corrected = viewOf(contract("check_corrected"), ABOUT);
  assert.deepEqual(corrected.said, { label: "real", isNearCopy: false });
  assert.deepEqual([corrected.canCorrect, corrected.canUndo], [true, true]);
  const near = viewOf(contract("check_near_copy"), ABOUT);
  assert.equal(near.said.isNearCopy, true);
  assert.deepEqual([near.canCorrect, near.canUndo], [true, false]);
  assert.equal(viewOf(contract("check"), ABOUT).canUndo, false);
});

test("nothing can be corrected in private, without the scope, or if it is not in the history", () => {
  const check = contract("check_corrected");
  for (const [one, about] of [
    [check, { ...ABOUT, isPrivate: true }],
    [check, { ...ABOUT, scopes: ["check"] }],
    [{ ...check, is_stored: false }, ABOUT],
  ]) {
    const view = viewOf(one, about);
    assert.deepEqual([view.canCorrect, view.canUndo], [false, false]);
  }
});

test("a screen copy is always said to be less reliable", () => {
  const check = contract("check");
  for (const one of [check, { ...check, width: null, height: null }]) {
    assert.match(viewOf(one, { ...ABOUT, seen: "screen" }).seen, /^Screen copy.*less reliable$/);
  }
  assert.equal(viewOf(check, { ...ABOUT, seen: null }).seen, "");
});

test("a number takes the form that the language needs", () => {
  const forms = { one: "$1 obraz", few: "$1 obrazy", many: "$1 obrazów", other: "$1 obrazu" };
  const messages = Object.fromEntries(
    Object.entries(forms).map(([rule, message]) => [`n_${rule}`, { message }]),
  );
  browser({ messages: { ...messages, language: { message: "pl" } } });
  assert.deepEqual(
    [1, 3, 5, 22].map((n) => count("n", n)),
    ["1 obraz", "3 obrazy", "5 obrazów", "22 obrazy"],
  );
  browser({ messages: { n_other: { message: "$1 of $2" }, language: { message: "en" } } });
  assert.equal(count("n", 1, "x"), "1 of x");
  assert.equal(words("missing_key"), "missing_key");
});
