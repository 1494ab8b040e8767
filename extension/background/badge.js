// The badge on the toolbar button: how many pictures of this page were flagged, or "!".

import { keepProblem, resultsOf } from "../lib/results.js";
import { count, words } from "../lib/words.js";

const FLAGGED = "#8a3b00";
const ALERT = "#5c5c66";

/** Shows how many pictures of a tab's page are likely AI-made. @param {number} tabId */
export async function showCount(tabId) {
  const flagged = (await resultsOf(tabId)).filter(({ tone }) => tone === "made").length;
  const title = flagged ? count("badge_flagged", flagged) : words("name");
  await show(tabId, flagged ? String(flagged) : "", FLAGGED, title);
}

/**
 * Shows that something is wrong; the popup says what.
 *
 * @param {number} tabId
 * @param {import("../lib/messages.js").Problem} problem
 */
export async function showProblem(tabId, problem) {
  await keepProblem(tabId, problem);
  await show(tabId, "!", ALERT, problem.text);
}

/** Shows that a picture is being checked without a card. @param {number} tabId */
export async function showWaiting(tabId) {
  await show(tabId, "…", ALERT, words("wait_checking"));
}

/**
 * @param {number} tabId
 * @param {string} text
 * @param {string} color
 * @param {string} title
 */
async function show(tabId, text, color, title) {
  try {
    await chrome.action.setBadgeText({ tabId, text });
    await chrome.action.setBadgeBackgroundColor({ tabId, color });
    await chrome.action.setBadgeTextColor?.({ tabId, color: "#ffffff" });
    await chrome.action.setTitle({ tabId, title });
  } catch {
    // The tab was closed meanwhile.
  }
}
