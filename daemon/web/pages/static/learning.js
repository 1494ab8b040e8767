// The page of learning: the progress of a training, shown as it goes on, and packs.

import { send } from "./asking.js";
import { confirmed } from "./changes.js";
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

/** Tell what a pack would change, and take it in if the user says so. */
async function importPack(pack) {
  if (pack.size > Number(choose.dataset.max)) {
    return say(_("This file is too large for a pack."), { isError: true });
  }
  try {
    const { lines } = await send("/changes/learning/preview", pack);
    const items = lines.map((line) => Object.assign(document.createElement("li"), { textContent: line }));
    document.getElementById("import-lines").replaceChildren(...items);
    if (!(await confirmed("import"))) return;
    say((await send("/changes/learning/import", pack)).said);
    await refresh("learning");
  } catch (error) {
    say(error.message, { isError: true });
  }
}
