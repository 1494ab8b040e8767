// On every page: live parts, forms that change something, keys.

import * as changes from "./changes.js";
import * as connection from "./connection.js";
import * as keys from "./keys.js";
import * as live from "./live.js";
import { refreshAll, showing } from "./pieces.js";
import * as remembered from "./remembered.js";

document.documentElement.classList.add("js");
changes.start();
keys.start();
document.querySelector("[data-back]")?.addEventListener("click", () => history.back());

const due = new Set();
for (const kind of [...live.KINDS, "tick"]) {
  live.on(kind, () => renew(kind === "reset" ? live.KINDS.flatMap(showing) : showing(kind)));
}
connection.start();
remembered.start();
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
