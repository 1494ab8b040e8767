// The page of learning: the progress of a training, shown as it goes on, and packs.

import { send } from "./asking.js";
import { sure } from "./confirming.js";
import { _ } from "./i18n.js";
import { on } from "./live.js";
import { refresh } from "./pieces.js";
import { say } from "./toast.js";

const choose = document.getElementById("choose-pack");
const file = document.getElementById("pack");

choose.addEventListener("click", () => file.click());
file.addEventListener("change", async () => {
  const [pack] = file.files;
  if (pack) await importPack(pack);
  file.value = ""; // otherwise the same file could not be chosen again
});

on("training", ({ id, state, stage, done, total, is_suspended: isSuspended }) => {
  const progress = document.getElementById("progress");
  if (state !== "running" || progress?.dataset.id !== String(id)) return refresh("learning");
  const name = document.getElementById("stage");
  name.textContent = JSON.parse(name.dataset.stages)[stage] ?? _("Working");
  document.getElementById("counted").textContent = total ? _("{done} of {total}", { done, total }) : "";
  document.getElementById("waits").hidden = !isSuspended;
  if (total) {
    progress.max = total;
    progress.value = done;
  } else {
    progress.removeAttribute("value");
  }
});

/** Take a pack in. antifake tells what it would change, and asks. */
async function importPack(pack) {
  if (pack.size > Number(choose.dataset.max)) {
    return say(_("This file is too large for a pack."), { isError: true });
  }
  try {
    const done = await sure((confirmation) => send("/changes/learning/import", pack, confirmation));
    if (!done) return;
    say(done.said);
    await refresh("learning");
  } catch (error) {
    say(error.message, { isError: true });
  }
}
