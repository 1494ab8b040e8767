// One sentence at the foot of the page, read aloud. It stays until the next one or until closed.

import { _ } from "./i18n.js";

const place = document.getElementById("toast");

/** @param {string} sentence  @param {{undo?: () => void, isError?: boolean, picture?: string}} more
 *  `picture` is the id of the check that it is about. */
export function say(sentence, { undo, isError = false, picture } = {}) {
  const words = document.createElement("span");
  words.textContent = sentence;
  const buttons = [undo && button(_("Undo"), undo), button("×", () => {}, _("Close this message"))];
  place.classList.toggle("bad", isError);
  place.replaceChildren(...[picture && thumb(picture), words, ...buttons].filter(Boolean));
}

function thumb(id) {
  const made = document.createElement("img");
  made.className = "of";
  made.alt = "";
  made.addEventListener("error", () => made.remove()); // none is kept
  made.src = `/thumb/${encodeURIComponent(id)}`;
  return made;
}

function button(name, act, label) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = name;
  made.className = label ? "link close" : "button";
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", () => {
    place.replaceChildren();
    act();
  });
  return made;
}
