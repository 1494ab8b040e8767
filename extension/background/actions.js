// What the one button of a problem does.

import { setSite } from "../lib/storage.js";

/** @typedef {import("./sender.js").Asker} Asker */

/**
 * @param {{action: string}} message
 * @param {Asker} asker
 * @returns {Promise<object>}
 */
export async function act({ action }, asker) {
  const at = action.indexOf(":");
  const [name, subject] = at < 0 ? [action, ""] : [action.slice(0, at), action.slice(at + 1)];
  await ACTIONS[name]?.(subject, asker);
  return {};
}

/** @type {Record<string, (subject: string, asker: Asker) => Promise<unknown>>} */
const ACTIONS = {
  retry: (_, { tabId, frameId }) => retry(tabId, frameId),
  connect: (scope) =>
    open(
      scope
        ? `pages/options.html?scope=${encodeURIComponent(scope)}#connect`
        : "pages/options.html#connect",
    ),
  allow: (pattern) => open(`pages/permission.html?origin=${encodeURIComponent(pattern)}`),
  "site-ask": async (_, { site, tabId, frameId }) => {
    if (site !== null) {
      await setSite(site, null);
      await retry(tabId, frameId);
    }
  },
};

/** @param {number} tabId @param {number} frameId */
async function retry(tabId, frameId) {
  await chrome.tabs.sendMessage(tabId, { type: "card.retry" }, { frameId }).catch(() => {});
}

/** @param {string} page */
async function open(page) {
  await chrome.tabs.create({ url: chrome.runtime.getURL(page) });
}
