// Shows that antifake cannot be reached, and keeps the page as it is until it can be: leaving it
// would lose what was typed, and lead to the browser's own error page.

import { on } from "./live.js";
import { say } from "./toast.js";

const icon = document.querySelector("link[rel=icon]");
const sign = document.getElementById("connection");
const notice = document.getElementById("away");
const { title } = document;
const { href } = icon;

let isHere = true;
let waiting = [];

export function start() {
  on("connection", show);
  document.addEventListener("click", stay, { capture: true });
  document.addEventListener("submit", stay, { capture: true });
}

/** Returns a promise that is kept once antifake can be asked. */
export function whenHere() {
  return isHere ? Promise.resolve() : new Promise((done) => waiting.push(done));
}

function show(connection) {
  isHere = connection === "here";
  sign.hidden = isHere;
  document.getElementById("state").hidden = !isHere;
  document.title = isHere ? title : `${sign.textContent.trim()} · ${title}`;
  icon.href = isHere ? href : icon.dataset.offline;
  const words = document.querySelector(`template[data-away="${connection}"]`);
  notice.replaceChildren(...(words ? [words.content.cloneNode(true)] : []));
  if (!isHere) return;
  for (const done of waiting) done();
  waiting = [];
}

/** Stop links and forms of filters, which would leave the page. Changes say themselves what fails. */
function stay(event) {
  if (isHere || !leaves(event)) return;
  event.preventDefault();
  event.stopPropagation();
  say(notice.dataset.stay, { isError: true });
}

function leaves({ type, target }) {
  if (type === "submit") return target.method === "get" && !target.dataset.change;
  const address = target.closest("a[href]")?.getAttribute("href");
  return address !== undefined && !address.startsWith("#");
}
