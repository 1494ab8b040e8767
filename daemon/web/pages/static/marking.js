// The user's labels: set, undone, and shown at once wherever the picture is on this page.
// This tab remembers across its pages what can be undone.

import { change, json } from "./asking.js";
import { sure } from "./confirming.js";
import { _ } from "./i18n.js";
import { say } from "./toast.js";

const KEPT = "antifake.undo";
const MOST = 50;

/** Label pictures: "real", "fake", "unsure", or "nothing". Returns whether it worked. */
export const mark = (ids, label, note = "") =>
  act("/changes/label", { ids, label, note }, () => remember([...load(), ids]));

/** Undo the last change of this tab. Returns what was undone, and what is said of it. */
export async function undo() {
  const acts = load();
  const ids = acts.pop();
  if (!ids) {
    say(_("There is nothing to undo."));
    return null;
  }
  const said = await act("/changes/undo", { ids }, () => remember(acts), false);
  return said ? { ids, said } : null;
}

/** Forget pictures. Returns whether that was done. */
export async function forget(ids) {
  try {
    const done = await sure((confirmation) => {
      if (confirmation) say(_("Forgetting …"));
      return change("/changes/forget", { ids }, confirmation);
    });
    say(done ? done.said : _("Nothing is forgotten."));
    if (!done) return false;
    remember(load().filter((some) => !some.some((id) => ids.includes(id))));
    return true;
  } catch (error) {
    say(error.message, { isError: true });
    return false;
  }
}

/** Show the current verdicts of these checks. */
export async function refreshVerdicts(ids) {
  const shown = ids.filter((id) => places(id).length);
  if (shown.length) show(await json(`/verdicts?ids=${shown.join(",")}`));
}

/** Returns the ids of these checks and of all others on the page with the same bytes. */
export function alike(ids) {
  const wanted = new Set(ids.flatMap((id) => places(id).map((one) => one.dataset.picture)));
  const rows = [...document.querySelectorAll("[data-picture]")];
  return rows.filter((one) => one.dataset.picture && wanted.has(one.dataset.picture)).map((one) => one.dataset.id);
}

/** Keep a sentence that the next page shows, with an Undo if that can be. */
export function leaveWord(sentence, picture, canUndo = true) {
  sessionStorage.setItem(`${KEPT}.said`, JSON.stringify({ sentence, picture, canUndo }));
}

export function showLeftWord(undoing) {
  const left = JSON.parse(sessionStorage.getItem(`${KEPT}.said`) || "null");
  sessionStorage.removeItem(`${KEPT}.said`);
  if (left) say(left.sentence, { undo: left.canUndo ? undoing : undefined, picture: left.picture });
}

async function act(address, body, done, canUndo = true) {
  try {
    const { verdicts, said } = await change(address, body);
    done();
    show(verdicts);
    const undoing = canUndo ? () => document.dispatchEvent(new Event("antifake:undo")) : undefined;
    say(said, { undo: undoing, picture: body.ids.length === 1 ? body.ids[0] : undefined });
    await refreshVerdicts(alike(body.ids).filter((id) => !(id in verdicts)));
    return said;
  } catch (error) {
    say(error.message, { isError: true });
    return null;
  }
}

function show(verdicts) {
  for (const [id, html] of Object.entries(verdicts)) {
    for (const place of places(id).flatMap((one) => [...one.querySelectorAll("[data-verdict]")])) {
      if (place.innerHTML === html) continue;
      const parsed = new DOMParser().parseFromString(html, "text/html");
      place.replaceChildren(...parsed.body.childNodes);
      place.classList.remove("changed");
      requestAnimationFrame(() => place.classList.add("changed"));
    }
  }
}

const places = (id) => [...document.querySelectorAll(`[data-id="${CSS.escape(id)}"]`)];
const load = () => JSON.parse(sessionStorage.getItem(KEPT) || "[]");
const remember = (acts) => sessionStorage.setItem(KEPT, JSON.stringify(acts.slice(-MOST)));
