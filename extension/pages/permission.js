// Explains why a wider permission is needed, and has the browser ask for it.

import { LOOPBACK } from "../lib/doctor.js";
import { words } from "../lib/words.js";
import { ALL_SITES, allow } from "./actions.js";
import { byId, element, translate } from "./elements.js";
import { hostOf } from "./permissions.js";

/** What the button of a problem asked for: a pattern of hosts. */
const wanted = new URL(location.href).searchParams.get("origin") ?? "";

function show() {
  translate();
  const isDaemon = wanted === LOOPBACK;
  byId("why").textContent = whyOf(isDaemon);
  byId("choice").hidden = isDaemon || !isOneSite();
  byId("choice").append(...(isDaemon ? [] : choices()));
  byId("only").hidden = isDaemon;
  byId("without").textContent = words(
    isDaemon ? "permission_without_daemon" : "permission_without",
  );
  byId("allow").addEventListener("click", grant);
  byId("close").addEventListener("click", close);
}

/** @param {boolean} isDaemon */
function whyOf(isDaemon) {
  if (isDaemon) {
    return words("permission_why_daemon");
  }
  return isOneSite() ? words("permission_why_site", hostOf(wanted)) : words("permission_why_all");
}

function isOneSite() {
  return /^https?:\/\/[^*/]+\/\*$/.test(wanted);
}

function choices() {
  const all = choice(ALL_SITES, words("permission_choose_all"), !isOneSite());
  return isOneSite()
    ? [choice([wanted], words("permission_choose_site", hostOf(wanted)), true), all]
    : [all];
}

/** @param {string[]} origins @param {string} text @param {boolean} checked */
function choice(origins, text, checked) {
  const value = origins.join(" ");
  const input = element("input", { type: "radio", name: "origins", value, checked });
  return element("label", {}, input, element("span", {}, text));
}

/** Asks at once: after a wait a browser no longer takes the click for the person's wish. */
async function grant() {
  const chosen = /** @type {HTMLInputElement|null} */ (document.querySelector("input:checked"));
  const origins = chosen ? chosen.value.split(" ") : [LOOPBACK];
  if (await allow(origins)) {
    await close();
    return;
  }
  byId("told").hidden = false;
  byId("told").textContent = words("permission_denied");
}

/** A page may not close a tab that it did not open, so the browser is asked to. */
async function close() {
  const tab = await chrome.tabs.getCurrent();
  await (tab?.id === undefined ? window.close() : chrome.tabs.remove(tab.id));
}

show();
