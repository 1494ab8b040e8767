// What the extension does on this site: nothing unasked, checking on its own, or nothing at all.

import { wishFor } from "../lib/permissions.js";
import { setSite, siteMode, siteOf } from "../lib/storage.js";
import { words } from "../lib/words.js";
import { ALL_SITES, tellChange } from "./actions.js";
import { button, element } from "./elements.js";

/** @typedef {import("../lib/storage.js").SiteMode} SiteMode */

const MODES = ["ask", "auto", "never"];

/**
 * Shows the choice, if the tab shows a site.
 *
 * @param {HTMLElement} place A fieldset.
 * @param {chrome.tabs.Tab|null} tab
 */
export async function showSite(place, tab) {
  const host = siteOf(tab?.url);
  place.hidden = host === null;
  if (host === null) {
    return;
  }
  const [mode, isAllowed] = await Promise.all([siteMode(host), isAllowedEverywhere()]);
  const chosen = mode ?? "ask";
  place.replaceChildren(
    element("legend", {}, words("site_title", host)),
    element("div", { class: "choices" }, ...MODES.map((one) => choice(one, chosen, host, place))),
    element("p", { class: "hint", id: "site-hint" }),
  );
  showHint(place, chosen, isAllowed);
}

/** @param {string} mode @param {string} chosen @param {string} host @param {HTMLElement} place */
function choice(mode, chosen, host, place) {
  const about = { type: "radio", name: "site", value: mode, "aria-describedby": "site-hint" };
  const change = () => choose(host, mode, place);
  const input = element("input", { ...about, checked: mode === chosen, on: { change } });
  return element("label", {}, input, element("span", {}, words(`site_${mode}`)));
}

/** @param {string} host @param {string} mode @param {HTMLElement} place */
async function choose(host, mode, place) {
  await setSite(host, mode === "ask" ? null : /** @type {SiteMode} */ (mode));
  await tellChange();
  showHint(place, mode, await isAllowedEverywhere());
}

/**
 * Says what the choice means. Checking on its own needs the pictures of all sites, as they mostly
 * come from another server than the page; the browser is asked when the person wants it.
 *
 * @param {HTMLElement} place
 * @param {string} mode
 * @param {boolean} isAllowed
 */
function showHint(place, mode, isAllowed) {
  const hint = /** @type {HTMLElement} */ (place.querySelector(".hint"));
  const isAsking = mode === "auto" && !isAllowed;
  hint.replaceChildren(words(isAsking ? "site_auto_needs" : `site_${mode}_hint`));
  place.querySelector(".allow")?.remove();
  if (isAsking) {
    const ask = async () => {
      if (await chrome.permissions.request(wishFor(ALL_SITES))) {
        await tellChange();
        showHint(place, mode, true);
      }
    };
    place.append(button(words("site_allow"), ask, "button main allow"));
  }
}

async function isAllowedEverywhere() {
  return chrome.permissions.contains({ origins: ALL_SITES });
}
