// A browser that is remembered has a cookie, which no script can read, and a key, which our scripts
// can use and not read. The key is kept for this host name and port, so no other page can use it.

import { change } from "./asking.js";
import { sure } from "./confirming.js";
import { _ } from "./i18n.js";
import { keepPageKey } from "./page_key.js";
import { say } from "./toast.js";

const STORE = "keys";
const NAME = "browser";
const HMAC = { name: "HMAC", hash: "SHA-256" };
const NOT_KEPT = _("This browser keeps nothing for this page; perhaps it is a private window.");

export function start() {
  document.addEventListener("click", ({ target }) => {
    if (target.closest("[data-remember]")) remember();
  });
  // The session may be from a link: from now on it is that of a remembered browser.
  if (document.body.dataset.remembered === "no") comeBack().then((isBack) => isBack && shown());
}

/** Begin a session as a remembered browser. Returns whether that worked. */
export async function comeBack() {
  try {
    const key = await kept("readonly", (store) => store.get(NAME));
    if (!key) return false;
    const { challenge } = await change("/back/challenge", {});
    const text = new TextEncoder().encode(`${challenge}:${location.origin}`);
    const answer = hex(await crypto.subtle.sign(HMAC, key, text));
    keepPageKey((await change("/back", { challenge, answer })).page_key);
    return true;
  } catch (error) {
    if (error.about?.code === "not_remembered") await forget();
    return false;
  }
}

async function remember() {
  try {
    await tryToKeep();
  } catch {
    return say(NOT_KEPT, { isError: true });
  }
  try {
    const done = await sure((confirmation) => change("/changes/remember", {}, confirmation));
    if (!done) return;
    const { key, said } = done;
    await keep(await crypto.subtle.importKey("raw", bytes(key), HMAC, false, ["sign"]));
    shown();
    say(said);
  } catch (error) {
    say(error.message, { isError: true });
  }
}

function shown() {
  document.body.dataset.remembered = "yes";
  for (const one of document.querySelectorAll("[data-remember]")) one.hidden = true;
  document.dispatchEvent(new CustomEvent("antifake:pairing", { detail: {} }));
}

const keep = (key) => kept("readwrite", (store) => store.put(key, NAME));
const forget = () => kept("readwrite", (store) => store.delete(NAME)).catch(() => {});

/** Throws where no key can be kept, before antifake is asked for one. */
async function tryToKeep() {
  const key = await crypto.subtle.generateKey(HMAC, false, ["sign"]);
  await kept("readwrite", (store) => store.put(key, "trial"));
  await kept("readwrite", (store) => store.delete("trial"));
}

async function kept(mode, act) {
  const opening = indexedDB.open("antifake", 1);
  opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(STORE));
  const database = await done(opening);
  try {
    return await done(act(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

const done = (request) =>
  new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });

const bytes = (text) => Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
const hex = (buffer) => [...new Uint8Array(buffer)].map((one) => one.toString(16).padStart(2, "0")).join("");
