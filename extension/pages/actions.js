// What the buttons of the pages do.

import { wishFor } from "../lib/permissions.js";
import { setSite } from "../lib/storage.js";

export const ALL_SITES = ["http://*/*", "https://*/*"];

/** Tells the worker that the connection, the sites, the settings or the permissions changed. */
export async function tellChange() {
  await chrome.runtime.sendMessage({ type: "pages.changed" });
}

/**
 * Asks the browser for wider permissions. It has to be the first thing that a click does: after a
 * wait, a browser no longer takes it for the person's wish.
 *
 * @param {string[]} origins
 * @returns {Promise<boolean>} Whether they are granted.
 */
export async function allow(origins) {
  const isGranted = await chrome.permissions.request(wishFor(origins));
  if (isGranted) {
    await tellChange();
  }
  return isGranted;
}

/**
 * Does what the button of a problem says.
 *
 * @param {string} action As in lib/doctor.js: a verb, and after a colon what it is about.
 * @param {() => void} again Looks once more how things are.
 */
export async function act(action, again) {
  const [verb, subject] = parted(action);
  if (verb === "allow") {
    await allow(subject ? [subject] : ALL_SITES);
  } else if (verb === "site-ask") {
    await setSite(subject, null);
    await tellChange();
  } else if (verb === "connect") {
    await connect(subject);
    return;
  }
  again();
}

/** @param {string} action @returns {[string, string]} */
function parted(action) {
  const colon = action.indexOf(":");
  return colon < 0 ? [action, ""] : [action.slice(0, colon), action.slice(colon + 1)];
}

/** Opens the options, which connect at once. @param {string} [scope] What is to be allowed too. */
export async function connect(scope) {
  const query = scope ? `?scope=${encodeURIComponent(scope)}` : "";
  await chrome.tabs.create({ url: chrome.runtime.getURL(`pages/options.html${query}#connect`) });
}
