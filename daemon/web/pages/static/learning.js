// The page of learning: the progress of a training, shown as it goes on.

import { on } from "./live.js";
import { refresh } from "./pieces.js";

on("training", ({ id, state, stage, done, total, is_suspended: isSuspended }) => {
  const progress = document.getElementById("progress");
  if (state !== "running" || progress?.dataset.id !== String(id)) return refresh("learning");
  const name = document.getElementById("stage");
  name.textContent = JSON.parse(name.dataset.stages)[stage] ?? "Working";
  document.getElementById("counted").textContent = total ? `${done} of ${total}` : "";
  document.getElementById("waits").hidden = !isSuspended;
  if (total) {
    progress.max = total;
    progress.value = done;
  } else {
    progress.removeAttribute("value");
  }
});
