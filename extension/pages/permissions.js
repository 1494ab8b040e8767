// The permissions beyond those of the installation: what they are for, and how to give them back.

import { LOOPBACK } from "../lib/doctor.js";
import { wishFor } from "../lib/permissions.js";
import { words } from "../lib/words.js";
import { ALL_SITES } from "./actions.js";
import { button, element } from "./elements.js";

/** @param {HTMLElement} place */
export async function showPermissions(place) {
  const again = () => draw(place);
  chrome.permissions.onAdded.addListener(again);
  chrome.permissions.onRemoved.addListener(again);
  await again();
}

/** @param {HTMLElement} place */
async function draw(place) {
  const { origins = [] } = await chrome.permissions.getAll();
  const wider = origins.filter((origin) => origin !== LOOPBACK);
  const isAll = ALL_SITES.every((origin) => wider.includes(origin)) || wider.includes("<all_urls>");
  const grants = isAll ? [wider] : wider.map((origin) => [origin]);
  place.replaceChildren(
    element("p", { class: "quiet" }, words("options_permissions_hint")),
    grants.length > 0 ? listOf(grants, isAll) : nothing(),
    ...(isAll ? [] : [element("p", { class: "buttons" }, allowAll())]),
  );
}

/** @param {string[][]} grants @param {boolean} isAll */
function listOf(grants, isAll) {
  return element(
    "ul",
    { class: "rows" },
    ...grants.map((origins) => {
      const name = isAll ? words("permission_all") : hostOf(origins[0]);
      const back = button(words("options_give_back"), () => giveBack(origins));
      back.setAttribute("aria-label", words("options_give_back_of", name));
      const what = element("span", { class: "what" }, words("permission_pictures"));
      return element("li", {}, element("bdi", { class: "name" }, name), what, back);
    }),
  );
}

/**
 * Gives origins back. From "all sites" Chromium takes antifake's own address with it, which the
 * extension was installed with; so the browser asks about that one again, in the same click.
 *
 * @param {string[]} origins
 */
async function giveBack(origins) {
  await chrome.permissions.remove({ origins });
  if (!(await chrome.permissions.contains({ origins: [LOOPBACK] }))) {
    await chrome.permissions.request({ origins: [LOOPBACK] });
  }
}

function nothing() {
  return element("p", { class: "empty" }, words("options_permissions_none"));
}

function allowAll() {
  return button(words("permission_allow_all"), () =>
    chrome.permissions.request(wishFor(ALL_SITES)),
  );
}

/** The host in a pattern, as people write it. @param {string} pattern */
export function hostOf(pattern) {
  return pattern.replace(/^[^:]*:\/\//, "").replace(/\/\*$/, "");
}
