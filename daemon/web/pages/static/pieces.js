// Parts of a page that the server renders again: <div id data-piece="address" data-on="kinds">.

import { text } from "./asking.js";

const putOff = new Set();
// The click comes after these events, and is to find its button.
for (const end of ["pointerup", "pointercancel", "keyup"]) addEventListener(end, () => setTimeout(catchUp), true);

/**
 * Fetch a part and replace it if it differs. Text that the user is typing there is kept. A part with
 * a button that is being pressed waits: replaced in between, the button would never be clicked.
 */
export async function refresh(id) {
  const place = document.getElementById(id);
  if (!place?.dataset.piece || isTypedIn(place)) return;
  const html = await text(place.dataset.piece);
  if (place.dataset.is === html || isTypedIn(place)) return;
  if (place.querySelector(":active")) {
    putOff.add(id);
    return;
  }
  const isFirst = place.dataset.is === undefined;
  place.dataset.is = html;
  const parsed = new DOMParser().parseFromString(html, "text/html");
  if (isFirst && normal(parsed.body) === normal(place)) return;
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  const open = [...place.querySelectorAll("details")].map((one) => one.open);
  place.replaceChildren(...parsed.body.childNodes);
  place.querySelectorAll("details").forEach((one, i) => (one.open = open[i] ?? one.open));
  if (focused) refocus(place, focused);
}

export const refreshAll = (ids) => Promise.all(ids.map((id) => refresh(id).catch(() => {})));

function catchUp() {
  const ids = [...putOff];
  putOff.clear();
  refreshAll(ids);
}

/** Returns the parts that show this kind of event. */
export function showing(kind) {
  const places = [...document.querySelectorAll("[data-piece][data-on]")];
  return places.filter((one) => one.dataset.on.split(" ").includes(kind)).map((one) => one.id);
}

const normal = (element) => element.innerHTML.replace(/\s+/g, " ").trim();

function isTypedIn(place) {
  const at = document.activeElement;
  return place.contains(at) && at.matches("input, textarea, select") && place.id !== at.form?.dataset.then;
}

/** Focus the same control in the new part, else the part itself. */
function refocus(place, old) {
  const name = old.getAttribute("aria-label") || old.textContent.trim();
  const controls = [...place.querySelectorAll("button, a[href], input, select, textarea")];
  const same = controls.find(
    (one) => (old.id && one.id === old.id) || (one.getAttribute("aria-label") || one.textContent.trim()) === name,
  );
  if (!same) place.tabIndex = -1;
  (same ?? controls[0] ?? place).focus();
}
