// The entry of the context menu, and the keyboard command.

import { problem, problemOfError } from "../lib/doctor.js";
import { keepProblem } from "../lib/results.js";
import { loadSettings } from "../lib/storage.js";
import { words } from "../lib/words.js";
import { showCount, showVerdict, showWaiting } from "./badge.js";
import { mayFetch, patternOf } from "./bytes.js";
import { check, hostPermission, poll } from "./checking.js";
import { inject } from "./injection.js";
import { askerOfTab } from "./sender.js";
import { noteProblem } from "./tabs.js";

export const MENU_ID = "check-picture";
const MOST_POLLS = 30;

/** Makes the menu as the settings want it. */
export async function makeMenu() {
  const { menuOnPicturesOnly } = await loadSettings();
  await navigator.locks.request("menu", async () => {
    await chrome.contextMenus.removeAll();
    chrome.contextMenus.create(
      {
        id: MENU_ID,
        title: words("menu_check"),
        contexts: menuOnPicturesOnly
          ? ["image", "video"]
          : ["image", "video", "link", "page", "frame"],
      },
      () => void chrome.runtime.lastError,
    );
  });
}

/**
 * @param {chrome.contextMenus.OnClickData & {targetElementId?: number}} info
 * @param {chrome.tabs.Tab} [tab]
 */
export async function clicked(info, tab) {
  if (info.menuItemId !== MENU_ID || tab?.id === undefined || tab.id < 0) {
    return;
  }
  const frameId = info.frameId ?? 0;
  const open = {
    type: "card.open",
    srcUrl: info.srcUrl ?? null,
    mediaType: info.mediaType ?? null,
    targetElementId: info.targetElementId ?? null,
  };
  if (!(await inject(tab.id, frameId, open))) {
    await checkWithoutCard(info, tab);
  }
}

/** @param {string} command @param {chrome.tabs.Tab} [tab] */
export async function commanded(command, tab) {
  const [active] = tab ? [tab] : await chrome.tabs.query({ active: true, currentWindow: true });
  if (command !== "pick" || active?.id === undefined) {
    return;
  }
  if (!(await inject(active.id, 0, { type: "pick.start" }))) {
    await noteProblem(active.id, problem("page-forbidden"), active.incognito);
  }
}

/**
 * Checks a picture on a page that lets nothing in. The popup shows the verdict.
 *
 * @param {chrome.contextMenus.OnClickData} info
 * @param {chrome.tabs.Tab} tab
 */
async function checkWithoutCard(info, tab) {
  const tabId = /** @type {number} */ (tab.id);
  const url = info.srcUrl ?? "";
  if (!/^(https?|data):/i.test(url) || info.mediaType === "video") {
    await noteProblem(tabId, problem("page-forbidden"), tab.incognito);
    return;
  }
  await keepProblem(tabId, null);
  await showWaiting(tabId);
  await showEnd(
    await outcomeOf(url, askerOfTab(tab, info.frameId ?? 0, info.pageUrl ?? "")),
    url,
    tab,
  );
}

/**
 * @param {import("../lib/messages.js").Outcome} outcome
 * @param {string} url
 * @param {chrome.tabs.Tab} tab
 */
async function showEnd(outcome, url, tab) {
  const tabId = /** @type {number} */ (tab.id);
  if (outcome.state === "waiting") {
    return; // The popup has it in its list.
  }
  if (outcome.state !== "done") {
    const found = outcome.state === "problem" ? outcome : await unreachable(url);
    await noteProblem(tabId, withoutRetry(found), tab.incognito);
  } else if (tab.incognito) {
    await showVerdict(tabId, outcome);
  } else {
    await showCount(tabId);
  }
}

/** @param {string} url @param {import("./sender.js").Asker} asker */
async function outcomeOf(url, asker) {
  try {
    let found = await check({ ...WITHOUT_PAGE, picture: { ...NO_PICTURE, url } }, asker);
    for (let i = 0; i < MOST_POLLS && found.state === "waiting"; i += 1) {
      found = await poll(found, asker);
    }
    return found;
  } catch (error) {
    return problemOfError(error);
  }
}

/**
 * There is no card that could try again.
 *
 * @param {import("../lib/messages.js").Problem} found
 * @returns {import("../lib/messages.js").Problem}
 */
function withoutRetry(found) {
  return found.button?.action === "retry" ? { ...found, button: null } : found;
}

/** Why the bytes cannot be had here. @param {string} url */
async function unreachable(url) {
  const pattern = patternOf(url);
  return pattern === null || (await mayFetch(url)) ? problem("gone") : hostPermission(pattern);
}

/** @type {Omit<import("./checking.js").CheckMessage, "picture">} */
const WITHOUT_PAGE = { bytes: null, isAutomatic: false, answers: { linked: "no" } };

/** @type {import("../lib/messages.js").Picture} */
const NO_PICTURE = {
  kind: "image",
  url: null,
  larger: null,
  linked: null,
  shown: { width: 0, height: 0 },
  natural: null,
  rect: null,
  ratio: 1,
};
