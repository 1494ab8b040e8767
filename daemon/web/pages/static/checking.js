// Pictures that the user drops, pastes or chooses. They are sent to antifake on this computer one
// after the other: the bytes and the file's name, as a browser does not tell where the file lies.

import { isFull, isKeyless, isLost, json, send } from "./asking.js";
import { whenHere } from "./connection.js";
import { _, ngettext } from "./i18n.js";
import { inert, short } from "./names.js";
import { drawn, finished } from "./verdicts.js";

const SUFFIX = /\.(jpe?g|jfif|png|gif|webp|bmp|tiff?|avif|hei[cf])$/i;
const PASTED = "image.png"; // what browsers call a picture on the clipboard that has no name
const AGAIN_MS = 1_000;
const KEYLESS_TRIES = 10;
const place = document.getElementById("given");
const closing = document.getElementById("given-close");
const results = document.getElementById("given-rows");
const status = document.getElementById("given-status");
const zone = document.getElementById("drop");
const files = document.getElementById("files");
const most = Number(place.dataset.max);

const waiting = [];
let n = 0;
let isBusy = false;
let isOwnDrag = false;
let shown = async () => {};

/** @param {() => Promise<void>} show  called after each picture, to show it in the list */
export function start(show) {
  shown = show;
  document.getElementById("choose").addEventListener("click", () => files.click());
  closing.addEventListener("click", close);
  files.addEventListener("change", () => {
    const chosen = [...files.files];
    files.value = ""; // otherwise the same file could not be chosen again
    take(chosen);
  });
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length) return;
    event.preventDefault();
    take(pasted);
  });
  listenForDrops();
}

function listenForDrops() {
  // A thumbnail of this page itself is not a file to check.
  addEventListener("dragstart", () => (isOwnDrag = true));
  addEventListener("dragend", () => (isOwnDrag = false));
  for (const kind of ["dragenter", "dragover"]) {
    addEventListener(kind, (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      zone.hidden = false;
    });
  }
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.hidden = true;
  });
  addEventListener("drop", (event) => {
    zone.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
}

const hasFiles = ({ dataTransfer }) => !isOwnDrag && dataTransfer?.types.includes("Files");

async function take(given) {
  waiting.push(...given);
  n += given.length;
  if (isBusy || !given.length) return;
  isBusy = true;
  open(true);
  let done = 0;
  while (waiting.length) {
    const file = waiting.shift();
    done += 1;
    const what = n === 1 ? _("Checking …") : _("Checking {done} of {total} …", { done, total: n });
    await one(file, (cause) => (status.textContent = cause ? `${what} ${cause} …` : what));
  }
  status.textContent = ngettext("Done.", "All {n} done.", n);
  isBusy = false;
  n = 0;
}

async function one(file, tell) {
  const name = short(inert(file.name)) || _("the picture");
  try {
    result(name, await judged(file, tell));
  } catch (error) {
    result(name, { sentence: error.message, ...error.about });
  }
  await shown().catch(() => {});
}

/** Returns the answer for one file, or throws an Error with the sentence. `tell` gets for what it waits. */
async function judged(file, tell) {
  tell(null);
  if (!(file.type ? file.type.startsWith("image/") : SUFFIX.test(file.name))) {
    throw new Error(_("This is not a picture."));
  }
  if (file.size > most) {
    throw new Error(_("This is too large: at most {size} MB are taken.", { size: most / 1e6 }));
  }
  const data = await bytes(file);
  const answer = await answered(() => send(`/changes/check?${nameOf(file)}`, data), tell);
  return finished(answer, tell, (address) => answered(() => json(address), tell));
}

/** Ask until antifake answers and has room. What was given to the page waits here meanwhile. */
async function answered(asked, tell) {
  let keyless = 0;
  for (;;) {
    try {
      return await asked();
    } catch (error) {
      if (isFull(error)) {
        tell(_("Many pictures are waiting already; this one is sent as soon as there is room"));
        await pause(error.waitMs);
        tell(null);
        continue;
      }
      // A session that begins on another page has its cookie a moment before its key.
      if (isKeyless(error) && (keyless += 1) < KEYLESS_TRIES) {
        await pause(AGAIN_MS);
        continue;
      }
      if (!isLost(error)) throw error;
      const n = waiting.length + 1;
      status.textContent = ngettext(
        "Not connected. The picture waits here.",
        "Not connected. {n} pictures wait here.",
        n,
      );
      await pause(AGAIN_MS);
      await whenHere();
      status.textContent = _("Checking …");
    }
  }
}

const pause = (ms) => new Promise((after) => setTimeout(after, ms));

/** Returns the name as part of an address. URLSearchParams also takes what is not valid text. */
function nameOf({ name }) {
  const known = name === PASTED ? "" : [...name].slice(0, 255).join("");
  return new URLSearchParams({ name: known });
}

async function bytes(file) {
  try {
    return await file.arrayBuffer();
  } catch {
    throw new Error(_("This file cannot be read by the browser."));
  }
}

function result(name, { verdict, sentence, id, is_kept: isKept, seen }) {
  const row = document.createElement("li");
  row.append(mark(verdict), " ", element("bdi", name), " ");
  if (sentence) row.append(element("span", sentence), " ");
  if (seen > 1) {
    row.append(element("span", ngettext("Seen {n} time.", "Seen {n} times.", seen), "quiet"), " ");
  }
  if (id && isKept) {
    const link = element("a", _("Open"));
    link.href = `/picture/${encodeURIComponent(id)}`;
    link.append(element("span", ` ${name}`, "away"));
    row.append(link);
    row.dataset.id = id;
  }
  results.prepend(row);
}

function mark(verdict) {
  if (!verdict) return element("b", _("Not checked"), "mark");
  const made = element("span", "", "mark");
  made.append(...drawn(verdict));
  made.dataset.verdict = "";
  return made;
}

function element(kind, text, name = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

// Never hide the live region itself: text that appears together with it is not read aloud.
function open(isOpen) {
  place.classList.toggle("open", isOpen);
  closing.hidden = !isOpen;
}

function close() {
  results.replaceChildren();
  status.textContent = "";
  open(false);
  document.getElementById("choose").focus();
}
