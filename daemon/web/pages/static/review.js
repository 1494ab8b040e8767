// The review: say what this picture is, or skip it; then show the next one.

import { change } from "./asking.js";
import { listen } from "./keys.js";
import { leaveWord, mark, showLeftWord, undo } from "./marking.js";
import { say } from "./toast.js";

const NEXT = "/review";
const article = document.querySelector("article.review");
let isBusy = false;

showLeftWord(back);
document.addEventListener("antifake:undo", back);
document.addEventListener("click", ({ target }) => {
  const label = target.closest("[data-say]")?.dataset.say;
  if (label) sayIt(label);
  if (target.closest("#skip")) skip();
});
listen({
  y: confirmIt,
  r: () => sayIt("real"),
  a: () => sayIt("fake"),
  u: () => sayIt("unsure"),
  s: skip,
  o: () => document.getElementById("open")?.click(),
  z: back,
});

function sayIt(label) {
  return once(async (id) => {
    const said = await mark([id], label);
    if (said) leaveWord(said);
    return said;
  });
}

/** Only where the page offers it: not every picture has a verdict that can be right. */
function confirmIt() {
  if (article?.querySelector("[data-say=right]")) sayIt("right");
}

function skip() {
  return once(async (id) => {
    try {
      leaveWord((await change("/changes/skip", { ids: [id] })).said, false);
      return true;
    } catch (error) {
      return say(error.message, { isError: true });
    }
  });
}

/** Do one thing with this picture at a time, and go on to the next one if it worked. */
async function once(act) {
  if (!article || isBusy) return;
  isBusy = true;
  if (await act(article.dataset.id)) location.assign(NEXT);
  isBusy = false;
}

/** Undo, and show that picture again. */
async function back() {
  const ids = await undo();
  if (ids) location.assign(`${NEXT}?${new URLSearchParams({ at: ids[0] })}`);
}
