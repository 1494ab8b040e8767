// Talks to antifake on this computer: finds it, has it prove itself, and calls its API.
//
// Before every request with a token or a picture, whatever listens on the port must prove that it
// issued the token. Another program that took the port learns nothing.

import { loadSettings } from "./storage.js";
import { isOfFile } from "./verdict.js";

/**
 * @typedef {import("./storage.js").Connection} Connection
 *
 * @typedef {"not-running"|"stranger"|"not-proved"|"not-paired"|"revoked"|"scope"|"version"|
 *   "no-model"|"queue-full"|"too-many"|"blocked"|"too-large"|"not-a-picture"|"gone"|"refused"} Cause
 *
 * @typedef {object} Call
 * @property {"GET"|"POST"|"PUT"|"DELETE"} method
 * @property {string} path Below /api/v1.
 * @property {object} [json]
 * @property {FormData} [form]
 * @property {number} [wait] How long the answer may be waited for there, in seconds.
 *
 * @typedef {{status: number, body: any, port: number}} Answer
 * @typedef {{port: number, version: string, api: string}} Found
 */

export const FIRST_PORT = 8765;
const LAST_PORT = 8785;
const LOOK_MS = 1500;
const CALL_MS = 8000;
const LONGEST_ANSWER = 4 * 2 ** 20;
const LONGEST_SENTENCE = 500;

/** A call that did not get its answer. */
export class DaemonError extends Error {
  /**
   * @param {Cause} cause
   * @param {string} [detail] The daemon's own sentence.
   */
  constructor(cause, detail = "") {
    super(detail || cause);
    this.name = "DaemonError";
    this.problem = cause;
    this.detail = detail;
  }
}

/**
 * The ports on which antifake may be, the likeliest first.
 *
 * @param {number|null} last Where it was last.
 * @param {number|null} chosen The only one, if the person has named it.
 * @returns {number[]}
 */
export function ports(last, chosen) {
  if (chosen !== null) {
    return [chosen];
  }
  const usual = Array.from({ length: LAST_PORT - FIRST_PORT + 1 }, (_, i) => FIRST_PORT + i);
  return last === null ? usual : [last, ...usual.filter((port) => port !== last)];
}

/** Whether the browser lets the extension ask 127.0.0.1 at all. @returns {Promise<boolean>} */
export async function isAllowed() {
  return chrome.permissions.contains({ origins: ["http://127.0.0.1/*"] });
}

/**
 * Finds antifake without a token.
 *
 * @param {number|null} last The port where it was last.
 * @returns {Promise<Found>} Throws DaemonError: not-running, stranger, version or blocked.
 */
export async function find(last = null) {
  if (!(await isAllowed())) {
    throw new DaemonError("blocked");
  }
  const { port: chosen } = await loadSettings();
  const looks = await Promise.all(ports(last, chosen).map(look));
  const found = looks.find((one) => one.kind === "found");
  if (found?.kind === "found") {
    if (found.api !== "v1") {
      throw new DaemonError("version");
    }
    return found;
  }
  throw new DaemonError((await isDenied()) ? "blocked" : causeOf(looks));
}

/**
 * Whether the person or an administrator has denied addresses of this computer. Where the browser
 * knows no such permission, or lets extensions pass, the answer is no.
 */
async function isDenied() {
  const name = /** @type {PermissionName} */ ("loopback-network");
  const found = await navigator.permissions?.query({ name }).catch(() => null);
  return found?.state === "denied";
}

/**
 * Calls antifake with the token.
 *
 * @param {Connection} connection
 * @param {Call} what
 * @param {(port: number) => Promise<void>} [moved] Is told the port if it is another one.
 * @returns {Promise<Answer>} Throws DaemonError.
 */
export async function call(connection, what, moved) {
  const port = await proven(connection);
  if (port !== connection.port) {
    await moved?.(port);
  }
  return checked(await answered(port, what, connection.token), port);
}

/**
 * Like request, but a connection that breaks or a daemon that says nothing is a DaemonError.
 *
 * @param {number} port
 * @param {Call} what
 * @param {string|null} token
 */
export async function answered(port, what, token) {
  try {
    return await request(port, what, token);
  } catch {
    throw new DaemonError("not-running");
  }
}

/**
 * The port on which the daemon proves that it issued the token.
 *
 * @param {Connection} connection
 * @returns {Promise<number>} Throws DaemonError.
 */
export async function proven(connection) {
  if (!(await isAllowed())) {
    throw new DaemonError("blocked");
  }
  const { port: chosen } = await loadSettings();
  const [likeliest, ...others] = ports(connection.port, chosen);
  if (await proves(connection, likeliest)) {
    return likeliest;
  }
  const asked = await Promise.all(others.map((port) => proves(connection, port)));
  const at = asked.indexOf(true);
  if (at >= 0) {
    return others[at];
  }
  // Nobody proves it. Why? Throws, unless an antifake is there.
  await find(connection.port);
  throw new DaemonError("not-proved");
}

/**
 * Whether the program on a port knows the token. The token is not sent.
 *
 * @param {{token: string, tokenId: number}} connection
 * @param {number} port
 * @returns {Promise<boolean>}
 */
export async function proves({ token, tokenId }, port) {
  const nonce = hex(crypto.getRandomValues(new Uint8Array(16)));
  const body = { token_id: tokenId, nonce };
  try {
    const answer = await request(
      port,
      { method: "POST", path: "/hello", json: body },
      null,
      LOOK_MS,
    );
    return sameText(answer.body?.proof, await proofOf(token, `${nonce}:${port}`));
  } catch {
    return false;
  }
}

/**
 * Sends one request, with the rules that hold for all of them.
 *
 * @param {number} port
 * @param {Call & {secret?: string}} what
 * @param {string|null} token
 * @param {number} [ms]
 * @returns {Promise<{status: number, body: any}>} Throws what fetch throws.
 */
export async function request(port, what, token, ms = CALL_MS) {
  const headers = new Headers();
  if (token !== null) {
    headers.set("Authorization", `Bearer ${token}`);
  }
  if (what.json !== undefined) {
    headers.set("Content-Type", "application/json");
  }
  if (what.wait !== undefined) {
    headers.set("Prefer", `wait=${what.wait}`);
  }
  if (what.secret !== undefined) {
    headers.set("X-Pairing-Secret", what.secret);
  }
  const response = await fetch(`http://127.0.0.1:${port}/api/v1${what.path}`, {
    method: what.method,
    headers,
    body: what.json === undefined ? what.form : JSON.stringify(what.json),
    signal: AbortSignal.timeout(ms + 1000 * (what.wait ?? 0)),
    credentials: "omit",
    redirect: "error",
    cache: "no-store",
    keepalive: what.method === "DELETE", // A page that is left withdraws its pairing so.
    referrerPolicy: "no-referrer",
  });
  return { status: response.status, body: await bodyOf(response) };
}

/**
 * Throws the DaemonError that an answer stands for, if any.
 *
 * @param {{status: number, body: any}} answer
 * @param {number} port
 * @returns {Answer}
 */
export function checked(answer, port) {
  const { status, body } = answer;
  // Without a model a check answers only if the file itself says that AI made it.
  const isAnswered = body?.check && (status < 500 || isOfFile(body.check));
  if (status < 400 || isAnswered) {
    return { status, body, port };
  }
  throw new DaemonError(
    causeOfStatus(status, body?.code),
    textOf(body?.detail).slice(0, LONGEST_SENTENCE),
  );
}

/** @param {number} status @param {unknown} code @returns {Cause} */
function causeOfStatus(status, code) {
  /** @type {Record<string, Cause>} */
  const codes = {
    scope: "scope",
    wrong_origin: "revoked", // This browser has no valid token any more.
    queue_full: "queue-full",
    too_many: "too-many",
    no_model: "no-model",
    model_died: "no-model",
    unreadable: "not-a-picture",
    too_large: "too-large",
    not_found: "gone",
  };
  /** @type {Record<number, Cause>} */
  const statuses = { 401: "revoked", 405: "version", 413: "too-large", 429: "too-many" };
  return codes[String(code)] ?? statuses[status] ?? "refused";
}

/**
 * @typedef {{kind: "found", port: number, version: string, api: string} |
 *   {kind: "stranger"|"silent"|"nothing", port: number}} Look
 *
 * @param {number} port
 * @returns {Promise<Look>}
 */
async function look(port) {
  try {
    const { body } = await request(port, { method: "GET", path: "/health" }, null, LOOK_MS);
    return body?.service === "antifake"
      ? { kind: "found", port, version: textOf(body.version), api: textOf(body.api) }
      : { kind: "stranger", port };
  } catch (error) {
    const isTimeout = error instanceof DOMException && error.name === "TimeoutError";
    return { kind: isTimeout ? "silent" : "nothing", port };
  }
}

/**
 * Why antifake was not found. A refused connection fails at once. So if no port answered in time,
 * not even by refusing, it is the browser that keeps the requests back.
 *
 * @param {Look[]} looks The likeliest port first.
 * @returns {Cause}
 */
function causeOf(looks) {
  if (looks.every((one) => one.kind === "silent")) {
    return "blocked";
  }
  return looks[0].kind === "stranger" ? "stranger" : "not-running";
}

/**
 * The JSON of an answer; null if it is none, or longer than any of antifake's. Whatever listens on
 * the port may send without end, also before it has proved anything.
 *
 * @param {Response} response
 */
async function bodyOf(response) {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let length = 0; reader;) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    length += value.length;
    if (length > LONGEST_ANSWER) {
      await reader.cancel();
      return null;
    }
    text += decoder.decode(value, { stream: true });
  }
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** HMAC-SHA256, whose key is the sha256 of the token in hex. @returns {Promise<string>} */
async function proofOf(/** @type {string} */ token, /** @type {string} */ message) {
  const key = await crypto.subtle.importKey(
    "raw",
    encoded(await sha256(encoded(token))),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  return hex(new Uint8Array(await crypto.subtle.sign("HMAC", key, encoded(message))));
}

/** The sha256 of bytes, in hex. @param {BufferSource} bytes @returns {Promise<string>} */
export async function sha256(bytes) {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} text */
function encoded(text) {
  return new TextEncoder().encode(text);
}

/** Compares without telling by its time how much is equal. @param {unknown} a @param {string} b */
function sameText(a, b) {
  if (typeof a !== "string" || a.length !== b.length) {
    return false;
  }
  let difference = 0;
  for (let i = 0; i < b.length; i += 1) {
    difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  }
  return difference === 0;
}

/** @param {unknown} value */
function textOf(value) {
  return typeof value === "string" ? value : "";
}
