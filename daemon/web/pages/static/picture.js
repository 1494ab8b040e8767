// One picture: looking at it, its neighbours, the user's label and note, deleting and copying.

import { _ } from "./i18n.js";
import { listen } from "./keys.js";
import { on } from "./live.js";
import { forget, mark, undo } from "./marking.js";
import { refresh } from "./pieces.js";
import { say } from "./toast.js";
import * as zoom from "./zoom.js";

const LIST = "antifake.list";
const isFromRight = document.dir === "rtl";
const back = document.querySelector(".back a");
const { id } = document.querySelector(".picture").dataset;

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("button");
  const { say: label, copy, copied, forget: isForget, parts } = button?.dataset ?? {};
  if (parts !== undefined) showParts(button);
  if (label) await sayIt(label);
  if (copy) navigator.clipboard.writeText(copy).then(() => say(copied));
  if (isForget !== undefined && (await forget([id]))) location.assign("/");
});
document.addEventListener("antifake:undo", undoIt);
on("correction", () => refresh("said")); // what is said of a near-copy counts here, too
listen({
  y: confirmIt,
  r: () => sayIt("real"),
  a: () => sayIt("fake"),
  u: () => sayIt("unsure"),
  z: undoIt,
  j: () => go("after"),
  k: () => go("before"),
  [isFromRight ? "ArrowLeft" : "ArrowRight"]: () => go("after"),
  [isFromRight ? "ArrowRight" : "ArrowLeft"]: () => go("before"),
  Escape: () => back.click(),
  ...zoom.start(),
});
// Back to the same page of the list.
back.href = `/${sessionStorage.getItem(LIST) ?? back.search}`;

/** Go to the previous or the next picture of the list, if there is one. */
function go(id) {
  const link = document.getElementById(id);
  if (link) link.click();
  else say(id === "after" ? _("This is the last picture.") : _("This is the first picture."));
}

/** Mark all parts that were judged, or only the one that decided. */
function showParts(button) {
  const areShown = document.querySelector(".parts").classList.toggle("all");
  button.setAttribute("aria-pressed", areShown);
}

async function sayIt(label) {
  const note = document.getElementById("note");
  if (!note) return;
  if (await mark([id], label, label === "nothing" ? "" : note.value)) await refresh("said");
}

/** Only where the page offers it: not every picture has a verdict that can be right. */
function confirmIt() {
  if (document.querySelector("[data-say=right]")) sayIt("right");
}

async function undoIt() {
  if (await undo()) await refresh("said");
}
