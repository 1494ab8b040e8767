// On every page: live parts, forms that change something, keys.

import * as changes from "./changes.js";
import * as keys from "./keys.js";
import * as live from "./live.js";
import { refreshAll, showing } from "./pieces.js";
import { say } from "./toast.js";

const AWAY =
  "antifake does not answer, or it was started anew. Open this page again from the antifake icon.";

document.documentElement.classList.add("js");
changes.start();
keys.start();
document.querySelector("[data-back]")?.addEventListener("click", () => history.back());

const due = new Set();
for (const kind of [...live.KINDS, "tick"]) {
  live.on(kind, () => renew(kind === "reset" ? live.KINDS.flatMap(showing) : showing(kind)));
}
document.addEventListener("antifake:away", () => say(AWAY, { isError: true }), { once: true });
live.start();

/** Render each part once for many events, such as those of a folder walk. */
function renew(ids) {
  if (!due.size) {
    setTimeout(() => {
      const now = [...due];
      due.clear();
      refreshAll(now);
    }, 300);
  }
  for (const id of ids) due.add(id);
}
