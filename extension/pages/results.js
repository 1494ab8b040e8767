// Lists of verdicts: a sign, its word and its colour, the picture's name, and when it was.

import { confirmable, sureOf as surenessOf, toneOf, wordOf } from "../lib/verdict.js";
import { words } from "../lib/words.js";
import { element, shape, sign } from "./elements.js";
import { ago, exactly } from "./times.js";

/**
 * @typedef {object} Row
 * @property {string} id
 * @property {string} tone
 * @property {string} word
 * @property {string} sure
 * @property {string} name
 * @property {Date} at
 * @property {"real"|"fake"|null} confirms The verdict that can be confirmed.
 */

/**
 * A row of the history. @param {any} check As the API answers it. @returns {Row}
 */
export function rowOfCheck(check) {
  return {
    id: check.id,
    tone: toneOf(check),
    word: wordOf(check),
    sure: surenessOf(check),
    name: check.name || fileName(check.path) || check.page || "",
    at: new Date(check.at),
    confirms: confirmable(check),
  };
}

/** @param {string|null} path */
function fileName(path) {
  return path?.split(/[/\\]/).at(-1) ?? "";
}

/** A row of this tab. @param {import("../lib/results.js").Result} result @returns {Row} */
export function rowOfResult({ id, tone, word, sure, name, at, confirms = null }) {
  return { id, tone, word, sure, name, at: new Date(at), confirms };
}

/**
 * @param {Row[]} rows
 * @param {(id: string) => void} open Opens the details.
 * @param {((row: Row) => void)|null} confirm Confirms a verdict. Null if that may not be.
 */
export function listOf(rows, open, confirm) {
  return element("ul", { class: "results" }, ...rows.map((row) => item(row, open, confirm)));
}

/**
 * @param {Row} row
 * @param {(id: string) => void} open
 * @param {((row: Row) => void)|null} confirm
 */
function item(row, open, confirm) {
  const name = row.name || words("result_unnamed");
  const when = element("time", { datetime: row.at.toISOString(), class: "when" }, ago(row.at));
  when.title = exactly(row.at);
  const about = [
    shape(row.tone, isSure(row)),
    element("span", {}, element("span", { class: "word" }, row.word), sureOf(row)),
    when,
    element("bdi", { class: "name", title: name }, name),
  ];
  const click = () => open(row.id);
  return element(
    "li",
    { class: row.tone },
    element("button", { type: "button", class: "result", on: { click } }, ...about),
    row.confirms && confirm ? confirming(row, name, confirm) : null,
  );
}

/** @param {Row} row @param {string} name @param {(row: Row) => void} confirm */
function confirming(row, name, confirm) {
  const right = words("card_say_right");
  const label = `${right}: ${row.word}, ${name}`;
  const attributes = { type: "button", class: "confirm", title: right, "aria-label": label };
  return element("button", { ...attributes, on: { click: () => confirm(row) } }, sign("right"));
}

/** Whether the word leaves out "likely": then the sign is filled. @param {Row} row */
function isSure({ tone, word }) {
  const likely = [words("verdict_fake"), words("verdict_real")];
  return ["made", "real"].includes(tone) && !likely.includes(word);
}

/** @param {Row} row */
function sureOf({ sure }) {
  return sure ? element("span", { class: "sure" }, ` ${sure}`) : null;
}
