// How a check of the daemon is shown: its tone, its words and its lines.

import { words } from "./words.js";

/**
 * @typedef {import("./messages.js").Done} Done
 * @typedef {import("./messages.js").Seen} Seen
 *
 * @typedef {object} Check What the API answers; tests/contract/check.json is an example.
 * @property {string} id
 * @property {"real"|"fake"|"unsure"|null} label
 * @property {boolean} is_sure
 * @property {number|null} percent
 * @property {string|null} error
 * @property {{label: "real"|"fake"|"unsure"}|null} said
 * @property {boolean} alike
 * @property {string[]} explanation
 * @property {"you"|"seen"|"signed"|"marked"|"model"|"none"} basis Whose word the headline is.
 * @property {string} model
 * @property {string} prompt
 * @property {number|null} width
 * @property {number|null} height
 * @property {boolean} is_stored
 */

const TONES = { fake: "made", real: "real", unsure: "unsure" };

/**
 * @param {Check} check
 * @param {object} about
 * @param {Seen|null} about.seen What was judged. Null if it is not known any more.
 * @param {string[]} about.scopes What the token is good for.
 * @param {boolean} about.isPrivate
 * @returns {Done}
 */
export function viewOf(check, { seen, scopes, isPrivate }) {
  const mayCorrect = scopes.includes("correct") && check.is_stored && !isPrivate;
  return {
    state: "done",
    id: check.id,
    tone: toneOf(check),
    word: wordOf(check),
    sure: sureOf(check),
    lines: check.explanation.map((text) => ({ text, lang: "en" })),
    seen: seen === null ? "" : seenText(seen, check),
    said: check.said ? { label: check.said.label, isNearCopy: check.alike } : null,
    canCorrect: mayCorrect,
    canUndo: mayCorrect && check.said !== null && !check.alike,
    isPrivate,
  };
}

/** @param {Check} check @returns {Done["tone"]} */
export function toneOf(check) {
  const label = labelOf(check);
  return /** @type {Done["tone"]} */ (label === null ? "failed" : TONES[label]);
}

/** The verdict in a few words. @param {Check} check @returns {string} */
export function wordOf(check) {
  if (check.said) {
    return words(`verdict_said_${check.said.label}`);
  }
  if (isOfFile(check)) {
    return words(`verdict_${check.basis}`);
  }
  if (check.label === null) {
    return words("verdict_failed");
  }
  return words(`verdict_${check.label}${check.is_sure ? "_sure" : ""}`);
}

/** How sure the model is, where the word is the model's. @param {Check} check @returns {string} */
export function sureOf(check) {
  const { percent, said } = check;
  return percent === null || said || isOfFile(check) ? "" : words("verdict_sure", percent);
}

/** Whether the word is the file's own: it says that AI made it. @param {Check} check */
export function isOfFile({ basis }) {
  return basis === "signed" || basis === "marked";
}

/** The label of the headline. @param {Check} check @returns {Check["label"]} */
function labelOf(check) {
  return isOfFile(check) ? "fake" : check.label;
}

/**
 * The verdict that "Yes, that's right" confirms. Null where there is none, or the person has said
 * something of this very picture.
 *
 * @param {Check} check
 * @returns {"real"|"fake"|null}
 */
export function confirmable(check) {
  const { said, alike, is_stored: isStored } = check;
  const label = labelOf(check);
  const isOpen = isStored && (said === null || alike);
  return isOpen && (label === "real" || label === "fake") ? label : null;
}

/** @param {Seen} seen @param {Check} check */
function seenText(seen, { width, height }) {
  const numbers = width && height ? words("seen_size", width, height) : "";
  return numbers ? words(`seen_${seen}`, numbers) : words(`seen_${seen}_only`);
}
