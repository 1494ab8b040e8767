// Notices that a tab shows another page, so that the results of the page before are forgotten.

import { forgetTab, pageOf, setPage } from "../lib/results.js";
import { showCount, showProblem } from "./badge.js";

const UNKNOWN = 0;

/** Remembers which page a tab shows. @param {number} tabId */
export async function seePage(tabId) {
  if ((await pageOf(tabId)) === null) {
    await setPage(tabId, await started(tabId));
  }
}

/**
 * Shows a problem until it is mended, or the tab shows another page.
 *
 * @param {number} tabId
 * @param {import("../lib/messages.js").Problem} problem
 * @param {boolean} isPrivate
 */
export async function noteProblem(tabId, problem, isPrivate) {
  if (!isPrivate) {
    await seePage(tabId);
  }
  await showProblem(tabId, problem, isPrivate);
}

/** The tab loads something: another page, or another part of the same. @param {number} tabId */
export async function noticePage(tabId) {
  const known = await pageOf(tabId);
  if (known === null) {
    return;
  }
  if (known === UNKNOWN || known !== (await started(tabId))) {
    await forgetTab(tabId);
    await showCount(tabId);
  }
}

/** When the page of a tab began: another moment for each page. @param {number} tabId */
async function started(tabId) {
  try {
    const func = () => performance.timeOrigin;
    const [found] = await chrome.scripting.executeScript({ target: { tabId }, func });
    return found?.result ?? UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}
