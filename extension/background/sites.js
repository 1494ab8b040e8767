// Marks on chosen sites: keeps what the browser injects in step with the sites and permissions.

import { loadSites, siteMode } from "../lib/storage.js";
import { MARKING_FILES } from "./injection.js";

const SCRIPT_ID = "marks";
const LIMITS = { perPage: 30, atOnce: 4, minSide: 128 };

/** Whether pictures are marked on the asker's site. @param {import("./sender.js").Asker} asker */
export async function marksFor({ site }) {
  const isOn = site !== null && (await siteMode(site)) === "auto";
  return { isOn, limits: LIMITS };
}

/** Has the browser put the content scripts into the chosen sites, and only there. */
export async function syncSites() {
  await navigator.locks.request("sites", async () => {
    const matches = await allowedPatterns();
    await register(matches);
    await startIn(matches);
    await stopElsewhere();
  });
}

/** Tells open cards to try again. */
export async function retryCards() {
  await tellAll(await chrome.tabs.query({}), { type: "card.retry" });
}

/** The patterns of the sites that are to be marked and may be. @returns {Promise<string[]>} */
async function allowedPatterns() {
  const sites = Object.entries(await loadSites()).filter(([, mode]) => mode === "auto");
  const found = [];
  for (const [host] of sites) {
    for (const pattern of [`http://${host}/*`, `https://${host}/*`]) {
      if (await chrome.permissions.contains({ origins: [pattern] }).catch(() => false)) {
        found.push(pattern);
      }
    }
  }
  return found;
}

/** @param {string[]} matches */
async function register(matches) {
  const known = await chrome.scripting.getRegisteredContentScripts({ ids: [SCRIPT_ID] });
  if (matches.length === 0) {
    if (known.length > 0) {
      await chrome.scripting.unregisterContentScripts({ ids: [SCRIPT_ID] });
    }
    return;
  }
  /** @type {chrome.scripting.RegisteredContentScript} */
  const script = {
    id: SCRIPT_ID,
    js: MARKING_FILES,
    matches,
    allFrames: true,
    runAt: "document_idle",
    persistAcrossSessions: true,
  };
  await (known.length > 0
    ? chrome.scripting.updateContentScripts([script])
    : chrome.scripting.registerContentScripts([script]));
}

/** Starts the marks in the tabs that are open already. @param {string[]} matches */
async function startIn(matches) {
  if (matches.length === 0) {
    return;
  }
  const tabs = await chrome.tabs.query({ url: matches });
  await Promise.allSettled(
    tabs.map(({ id }) =>
      chrome.scripting.executeScript({
        target: { tabId: /** @type {number} */ (id), allFrames: true },
        files: MARKING_FILES,
      }),
    ),
  );
  await tellAll(tabs, { type: "marks.start" });
}

/** Stops the marks where they are not wanted (any more). */
async function stopElsewhere() {
  const sites = await loadSites();
  const isOff = (/** @type {chrome.tabs.Tab} */ { url }) =>
    url === undefined || !URL.canParse(url) || sites[new URL(url).hostname] !== "auto";
  await tellAll((await chrome.tabs.query({})).filter(isOff), { type: "marks.stop" });
}

/** @param {chrome.tabs.Tab[]} tabs @param {object} message */
async function tellAll(tabs, message) {
  await Promise.allSettled(
    tabs.map(({ id }) => chrome.tabs.sendMessage(/** @type {number} */ (id), message)),
  );
}
