// Connects this browser to antifake: it shows six digits, and the person compares them there.

import { DaemonError, answered, call, checked, find, proves, request } from "./daemon.js";
import { loadConnection, saveConnection } from "./storage.js";
import { words } from "./words.js";

/**
 * @typedef {object} Pairing
 * @property {number} port
 * @property {string} id
 * @property {string} secret Proves that it was we who asked.
 * @property {string} code The six digits.
 * @property {string} expires ISO 8601.
 * @property {string[]} scopes
 * @property {string} name
 *
 * @typedef {"waiting"|"accepted"|"rejected"|"expired"} PairingState
 */

export const FIRST_SCOPES = ["check", "correct"];

/** What this browser is called in antifake. @returns {Promise<string>} */
export async function browserName() {
  const { os } = await chrome.runtime.getPlatformInfo();
  /** @type {Record<string, string>} */
  const systems = { mac: "macOS", win: "Windows", linux: "Linux", cros: "ChromeOS" };
  const isFirefox = chrome.runtime.getURL("").startsWith("moz-extension:");
  return words(isFirefox ? "browser_firefox" : "browser_chromium", systems[os] ?? os);
}

/**
 * Asks to be let in. A wider token than before is asked for in the same way.
 *
 * @param {string[]} scopes
 * @returns {Promise<Pairing>} Throws DaemonError; too-many if another program waits to be let in.
 */
export async function begin(scopes = FIRST_SCOPES) {
  const before = await loadConnection();
  const { port } = await find(before?.port ?? null);
  const wanted = [...new Set([...(before?.scopes ?? []), ...scopes])];
  const name = await browserName();
  const json = { name, scopes: wanted };
  const answer = await answered(port, { method: "POST", path: "/pairings", json }, null);
  const { id, secret, code, expires } = checked(answer, port).body;
  return { port, id, secret, code, expires, scopes: wanted, name };
}

/**
 * Looks whether the person has decided. Once accepted, the connection is stored and the token
 * before it is given back. A lost answer throws what fetch throws; ask again.
 *
 * @param {Pairing} pairing
 * @returns {Promise<PairingState>} Throws DaemonError; not-proved if it is not the one we asked.
 */
export async function look(pairing) {
  const { port, id, secret, scopes, name } = pairing;
  const answer = await request(port, { method: "GET", path: `/pairings/${id}`, secret }, null);
  if (answer.status === 404) {
    return "expired";
  }
  const { state, token, token_id: tokenId } = checked(answer, port).body;
  if (state !== "accepted") {
    return state;
  }
  if (typeof token !== "string" || !Number.isInteger(tokenId)) {
    return "expired"; // The token was handed out already, and its answer was lost.
  }
  if (!(await proves({ token, tokenId }, port))) {
    throw new DaemonError("not-proved");
  }
  const before = await loadConnection();
  await saveConnection({ port, token, tokenId, scopes, name });
  if (before !== null) {
    await revoke(before);
  }
  return "accepted";
}

/** Withdraws the request. @param {Pairing} pairing */
export async function cancel({ port, id, secret }) {
  await request(port, { method: "DELETE", path: `/pairings/${id}`, secret }, null).catch(() => {});
}

/**
 * Gives a token back, so that it is good for nothing any more.
 *
 * @param {import("./storage.js").Connection} connection
 * @returns {Promise<boolean>} Whether antifake has heard it.
 */
export async function revoke(connection) {
  try {
    await call(connection, { method: "DELETE", path: "/tokens/self" });
    return true;
  } catch (error) {
    return error instanceof DaemonError && error.problem === "revoked";
  }
}
