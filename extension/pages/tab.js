// The tab that the popup is about.

import { inject } from "../background/injection.js";

/** @returns {Promise<chrome.tabs.Tab|null>} */
export async function shownTab() {
  const [tab] = await chrome.tabs.query({ active: true, currentWindow: true });
  return tab ?? null;
}

/**
 * Whether the browser lets the extension into a page. Only trying tells: the list of closed pages
 * differs from browser to browser.
 *
 * @param {number|null} tabId
 * @returns {Promise<boolean>}
 */
export async function isOpenToUs(tabId) {
  if (tabId === null) {
    return false;
  }
  try {
    await chrome.scripting.executeScript({
      target: { tabId },
      func: () => true,
      injectImmediately: true, // A page that still loads is not waited for.
    });
    return true;
  } catch {
    return false;
  }
}

/** Lets the person pick a picture in a tab. @param {number} tabId */
export async function pick(tabId) {
  await inject(tabId, 0, { type: "pick.start" });
}
