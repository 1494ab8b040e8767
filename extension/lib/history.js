// Opens antifake's own pages, where the history is.

import { ask, problem } from "./doctor.js";
import { loadConnection } from "./storage.js";

const HOSTS = ["127.0.0.1", "localhost", "antifake.localhost"];

/**
 * Opens a page of antifake by a link that works once.
 *
 * @param {string|null} page Its path, as "/picture/…". Null: the history.
 * @param {number} [openerTabId] The tab that it belongs to.
 * @returns {Promise<import("./messages.js").Problem|null>} Null if it is open. Throws DaemonError.
 */
export async function openHistory(page, openerTabId) {
  const connection = await loadConnection();
  if (connection !== null && !connection.scopes.includes("open")) {
    return problem("scope", { subject: "open" });
  }
  const json = page === null ? {} : { next: page };
  const { body, port } = await ask({ method: "POST", path: "/logins", json });
  if (!isOurPage(body.url, port)) {
    return problem("refused");
  }
  await chrome.tabs.create({ url: body.url, openerTabId });
  return null;
}

/** Whether an address is a page of antifake on this port. @param {unknown} url */
function isOurPage(/** @type {unknown} */ url, /** @type {number} */ port) {
  const { protocol, hostname, port: at } = new URL(String(url));
  return protocol === "http:" && HOSTS.includes(hostname) && at === String(port);
}
