// The sites that the person has decided about.

import { loadSites, setSite } from "../lib/storage.js";
import { words } from "../lib/words.js";
import { button, element } from "./elements.js";

/** @param {HTMLElement} place */
export async function showSites(place) {
  chrome.storage.onChanged.addListener((changes, area) => {
    if (area === "local" && changes.sites) {
      draw(place);
    }
  });
  await draw(place);
}

/** @param {HTMLElement} place */
async function draw(place) {
  const sites = Object.entries(await loadSites()).sort(([a], [b]) => a.localeCompare(b));
  const list = element("ul", { class: "rows" }, ...sites.map(([host, mode]) => row(host, mode)));
  place.replaceChildren(
    sites.length > 0 ? list : element("p", { class: "empty" }, words("options_sites_none")),
  );
}

/** @param {string} host @param {string} mode */
function row(host, mode) {
  const remove = button(words("options_site_remove"), () => setSite(host, null));
  remove.setAttribute("aria-label", words("options_site_remove_of", host));
  return element(
    "li",
    {},
    element("bdi", { class: "name" }, host),
    element("span", { class: "what" }, words(`options_site_${mode}`)),
    remove,
  );
}
