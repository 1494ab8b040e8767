// Who asks: what a content script's message is known to come from.

import { siteOf } from "../lib/storage.js";

/**
 * @typedef {object} Asker
 * @property {number} tabId
 * @property {number} frameId
 * @property {string|null} document The document that asks, where the browser says it.
 * @property {boolean} isPrivate
 * @property {boolean} hasOwnCookies Whether its cookies are not the worker's: a private window or
 *   a container.
 * @property {string|null} site The site of the tab.
 * @property {string} page Address of the page in the tab.
 * @property {string} title
 */

/** @param {chrome.runtime.MessageSender} sender @returns {Asker|null} Null if it is no tab. */
export function askerOf(sender) {
  if (sender.tab?.id === undefined) {
    return null;
  }
  const asker = askerOfTab(sender.tab, sender.frameId ?? 0, sender.tab.url ?? sender.url ?? "");
  return { ...asker, document: sender.documentId ?? null };
}

/**
 * @param {chrome.tabs.Tab} tab
 * @param {number} frameId
 * @param {string} page
 * @returns {Asker}
 */
export function askerOfTab(tab, frameId, page) {
  const container = /** @type {{cookieStoreId?: string}} */ (tab).cookieStoreId;
  const isContainer = container !== undefined && container.startsWith("firefox-container");
  return {
    tabId: /** @type {number} */ (tab.id),
    frameId,
    document: null,
    isPrivate: tab.incognito,
    hasOwnCookies: tab.incognito || isContainer,
    site: siteOf(page),
    page,
    title: tab.title ?? "",
  };
}
