// The review: label this picture, then show the next one.

import { listen } from "./keys.js";
import { leaveWord, mark, showLeftWord, undo } from "./marking.js";

const article = document.querySelector("article.review");

showLeftWord(back);
document.addEventListener("antifake:undo", back);
document.addEventListener("click", ({ target }) => {
  const label = target.closest("[data-say]")?.dataset.say;
  if (label) sayIt(label);
});
listen({
  y: confirmIt,
  r: () => sayIt("real"),
  a: () => sayIt("fake"),
  u: () => sayIt("unsure"),
  s: () => document.getElementById("skip")?.click(),
  j: () => document.getElementById("skip")?.click(),
  o: () => document.getElementById("open")?.click(),
  z: back,
});

let isBusy = false;

async function sayIt(label) {
  if (!article || isBusy) return;
  isBusy = true;
  const said = await mark([article.dataset.id], label);
  isBusy = false;
  if (!said) return;
  leaveWord(said);
  go(article.dataset.id, Number(article.dataset.done) + 1);
}

/** Only where the page offers it: not every picture has a verdict that can be right. */
function confirmIt() {
  if (article?.querySelector("[data-say=right]")) sayIt("right");
}

/** Undo, and show that picture again. */
async function back() {
  const ids = await undo();
  if (!ids) return;
  const done = Math.max(0, Number(article?.dataset.done ?? 1) - 1);
  location.assign(`/review?${new URLSearchParams({ at: ids[0], done })}`);
}

function go(after, done) {
  location.assign(`/review?${new URLSearchParams({ after, done })}`);
}
