// What is wrong, in a sentence, and the one thing that can be done about it.

import { DaemonError, call, find } from "./daemon.js";
import { loadConnection, saveConnection } from "./storage.js";
import { words } from "./words.js";

/**
 * @typedef {import("./messages.js").Problem} Problem
 * @typedef {import("./messages.js").Button} Button
 * @typedef {import("./daemon.js").Cause} DaemonCause
 * @typedef {DaemonCause|"host-permission"|"page-forbidden"|"site-never"} Cause
 */

export const LOOPBACK = "http://127.0.0.1/*";

/**
 * The action of the button for each cause, and the key of its words.
 *
 * @type {Record<Cause, [string, string]|null>}
 */
const BUTTONS = {
  "not-running": ["retry", "problem_button_retry"],
  stranger: ["connect", "problem_button_settings"],
  "not-proved": ["connect", "problem_button_connect"],
  "not-paired": ["connect", "problem_button_connect"],
  revoked: ["connect", "problem_button_connect"],
  scope: ["connect", "problem_button_widen"],
  version: null,
  "no-model": ["retry", "problem_button_retry"],
  "queue-full": ["retry", "problem_button_retry"],
  "too-many": ["retry", "problem_button_retry"],
  blocked: [`allow:${LOOPBACK}`, "problem_button_allow"],
  "host-permission": ["allow", "problem_button_allow"],
  "page-forbidden": null,
  "too-large": null,
  "not-a-picture": null,
  gone: ["retry", "problem_button_retry"],
  refused: ["retry", "problem_button_retry"],
  "site-never": ["site-ask", "problem_button_site"],
};

/** The causes that lie in the connection: the popup finds them by itself. */
export const OF_CONNECTION = new Set([
  "not-running",
  "stranger",
  "not-proved",
  "not-paired",
  "revoked",
  "scope",
  "version",
  "no-model",
  "blocked",
]);

export const CAUSES = /** @type {Cause[]} */ (Object.keys(BUTTONS));

/**
 * @param {Cause} cause
 * @param {object} [about]
 * @param {string} [about.detail] The daemon's own sentence.
 * @param {string} [about.host] The site that it is about.
 * @param {string} [about.subject] What the action is about: a pattern of hosts, or a scope.
 * @returns {Problem}
 */
export function problem(cause, { detail = "", host = "", subject = "" } = {}) {
  const sentence = words(`problem_${cause.replaceAll("-", "_")}`, host);
  const hasDetail = ["no-model", "refused", "not-a-picture"].includes(cause) && detail !== "";
  const text = hasDetail ? `${sentence} ${detail}` : sentence;
  return { state: "problem", cause, text, button: button(cause, subject) };
}

/** The problem that an error stands for. @param {unknown} error @returns {Problem} */
export function problemOfError(error) {
  return error instanceof DaemonError
    ? problem(error.problem, { detail: error.detail })
    : problem("refused");
}

/** @param {Cause} cause @param {string} subject @returns {Button|null} */
function button(cause, subject) {
  const found = BUTTONS[cause];
  if (found === null) {
    return null;
  }
  const [action, key] = found;
  return { action: subject ? `${action}:${subject}` : action, text: words(key) };
}

/**
 * @typedef {object} State What the daemon says about itself.
 * @property {string} mode
 * @property {{phase: string, model: string|null, prompt: string|null, why: string|null}} model
 * @property {string[]} notices
 * @property {string} version
 *
 * @typedef {object} Diagnosis
 * @property {"ok"|"loading"|Cause} cause
 * @property {string} text
 * @property {Button|null} button
 * @property {State|null} state
 */

/** Looks how the connection is. @returns {Promise<Diagnosis>} */
export async function diagnose() {
  try {
    const connection = await loadConnection();
    if (connection === null) {
      await find();
      throw new DaemonError("not-paired");
    }
    const state = (await callAs(connection, { method: "GET", path: "/state" })).body;
    return ofState(state);
  } catch (error) {
    return { ...problemOfError(error), cause: causeOf(error), state: null };
  }
}

/**
 * Calls antifake with the stored token, and keeps the port if it moved.
 *
 * @param {import("./daemon.js").Call} what
 * @returns {Promise<import("./daemon.js").Answer>} Throws DaemonError.
 */
export async function ask(what) {
  const connection = await loadConnection();
  if (connection === null) {
    await find();
    throw new DaemonError("not-paired");
  }
  return callAs(connection, what);
}

/**
 * @param {import("./storage.js").Connection} connection
 * @param {import("./daemon.js").Call} what
 */
function callAs(connection, what) {
  return call(connection, what, (port) => saveConnection({ ...connection, port }));
}

/** @param {State} state @returns {Diagnosis} */
function ofState(state) {
  const { phase, why } = state.model;
  if (phase === "broken" || state.model.model === null) {
    return { ...problem("no-model", { detail: why ?? "" }), cause: "no-model", state };
  }
  const cause = phase === "loading" ? "loading" : "ok";
  return { cause, text: words(`state_${cause}`), button: null, state };
}

/** @param {unknown} error @returns {Cause} */
function causeOf(error) {
  return /** @type {Cause} */ (problemOfError(error).cause);
}
