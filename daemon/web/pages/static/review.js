// The review: say what this picture is, or skip it; then show the next one.

import { change } from "./asking.js";
import { listen } from "./keys.js";
import { leaveWord, mark, showLeftWord, undo } from "./marking.js";
import { say } from "./toast.js";
import * as zoom from "./zoom.js";

const order = document.getElementById("order");
const inOrder = order && order.value !== "useful" ? { order: order.value } : {};
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
  ...zoom.start(),
});
order?.addEventListener("change", () => order.form.submit());

function sayIt(label) {
  return once(async (id) => {
    const said = await mark([id], label);
    if (said) leaveWord(said, id);
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
      leaveWord((await change("/changes/skip", { ids: [id] })).said, id, false);
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
  if (await act(article.dataset.id)) location.assign(next());
  isBusy = false;
}

/** Undo, and show that picture again. */
async function back() {
  const undone = await undo();
  if (!undone) return;
  const [at] = undone.ids;
  leaveWord(undone.said, undone.ids.length === 1 ? at : undefined, false);
  location.assign(next({ at }));
}

function next(about = {}) {
  const query = new URLSearchParams({ ...inOrder, ...about });
  return query.size ? `/review?${query}` : "/review";
}
