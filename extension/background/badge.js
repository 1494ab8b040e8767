// The badge on the toolbar button: how many pictures of this page were flagged, or "!".

import { keepProblem, resultsOf, tabsWithProblems } from "../lib/results.js";
import { count, words } from "../lib/words.js";

const FLAGGED = "#8a3b00";
const ALERT = "#5c5c66";

/**
 * Shows how many pictures of a tab's page are likely AI-made, and no problem any more.
 *
 * @param {number} tabId
 */
export async function showCount(tabId) {
  await keepProblem(tabId, null);
  const flagged = (await resultsOf(tabId)).filter(({ tone }) => tone === "made").length;
  const title = flagged ? count("badge_flagged", flagged) : words("name");
  await show(tabId, flagged ? String(flagged) : "", FLAGGED, title);
}

/** Takes all problems away: something was mended. */
export async function clearProblems() {
  await Promise.all((await tabsWithProblems()).map(showCount));
}

/**
 * Shows that something is wrong. The popup says what; of private windows, the button's title.
 *
 * @param {number} tabId
 * @param {import("../lib/messages.js").Problem} problem
 * @param {boolean} isPrivate
 */
export async function showProblem(tabId, problem, isPrivate) {
  if (!isPrivate) {
    await keepProblem(tabId, problem);
  }
  await show(tabId, "!", ALERT, problem.text);
}

/**
 * Shows the verdict of a private window's picture for which there is no card. It is kept by the
 * button alone, until the tab shows another page.
 *
 * @param {number} tabId
 * @param {import("../lib/messages.js").Done} done
 */
export async function showVerdict(tabId, { tone, word, sure }) {
  await show(tabId, tone === "made" ? "1" : "", FLAGGED, [word, sure].filter(Boolean).join(" "));
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
