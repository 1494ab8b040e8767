// Has pictures checked by antifake. Every function answers one message with an Outcome.

import { DaemonError, sha256 } from "../lib/daemon.js";
import { ask, problem, problemOfError } from "../lib/doctor.js";
import { openHistory } from "../lib/history.js";
import { recall, recallBytes, remember, rememberBytes } from "../lib/results.js";
import { loadConnection, loadSettings, saveSettings, siteMode } from "../lib/storage.js";
import { confirmable, viewOf } from "../lib/verdict.js";
import { count, words } from "../lib/words.js";
import { fromAddress, fromBase64, fromScreen, isLocal, mayFetch, patternOf } from "./bytes.js";
import { referrerOf } from "./referrer.js";

/**
 * @typedef {import("../lib/messages.js").Outcome} Outcome
 * @typedef {import("../lib/messages.js").Picture} Picture
 * @typedef {import("../lib/messages.js").Bytes} Bytes
 * @typedef {import("../lib/messages.js").Seen} Seen
 * @typedef {import("../lib/messages.js").Way} Way
 * @typedef {import("./sender.js").Asker} Asker
 *
 * @typedef {object} CheckMessage
 * @property {Picture} picture
 * @property {Bytes|null} bytes
 * @property {boolean} isAutomatic
 * @property {{linked: "yes"|"no"|null}} answers
 *
 * @typedef {{data: Uint8Array, seen: Seen}} Got
 */

// Together they are below the 20 seconds in which a message is answered.
const FETCH_MS = 9000;
const WAIT_S = 4;
const POLL_S = 8;

/** @param {CheckMessage} message @param {Asker} asker @returns {Promise<Outcome>} */
export async function check(message, asker) {
  if (asker.site !== null && (await siteMode(asker.site)) === "never") {
    return problem("site-never", { host: asker.site, subject: asker.site });
  }
  if ((await loadConnection()) === null) {
    return problemOfError(await whyNot());
  }
  const got = await bytesOf(message, asker);
  return "data" in got ? judge(got, message, asker) : got;
}

/** Why there is no connection. @returns {Promise<unknown>} */
async function whyNot() {
  return ask({ method: "GET", path: "/state" }).then(
    () => new DaemonError("not-paired"),
    (error) => error,
  );
}

/** @param {{id: string, seen?: Seen}} message @param {Asker} asker @returns {Promise<Outcome>} */
export async function poll({ id, seen }, asker) {
  const known = await resultFor(id, asker);
  const answer = await ask({ method: "GET", path: `/checks/${id}?wait=${POLL_S}`, wait: POLL_S });
  return outcome(answer, { seen: known?.seen ?? seen ?? null, name: known?.name ?? "" }, asker);
}

/**
 * @param {{id: string, label: "real"|"fake", seen?: Seen}} message
 * @param {Asker} asker
 * @returns {Promise<Outcome>}
 */
export async function correct({ id, label, seen }, asker) {
  const known = await resultFor(id, asker);
  const answer = await ask({ method: "PUT", path: `/checks/${id}/label`, json: { label } });
  return outcome(answer, { seen: known?.seen ?? seen ?? null, name: known?.name ?? "" }, asker);
}

/** @param {{id: string, seen?: Seen}} message @param {Asker} asker @returns {Promise<Outcome>} */
export async function undo({ id, seen }, asker) {
  const known = await resultFor(id, asker);
  const answer = await ask({ method: "POST", path: "/labels:undo", json: { ids: [id] } });
  const one = { ...answer, body: answer.body.checks[0] };
  return outcome(one, { seen: known?.seen ?? seen ?? null, name: known?.name ?? "" }, asker);
}

/**
 * Opens the history at a picture.
 *
 * @param {{id: string}} message
 * @param {Asker} asker
 * @returns {Promise<{state: "opened"}|Outcome>}
 */
export async function details({ id }, asker) {
  await resultFor(id, asker);
  return (await openHistory(`/picture/${id}`, asker.tabId)) ?? { state: "opened" };
}

/**
 * The result that a tab may ask about: one that it asked for itself. Nothing is remembered about
 * private windows, so there any result may be asked about.
 *
 * @param {string} id
 * @param {Asker} asker
 * @returns {Promise<import("../lib/results.js").Result|null>} Throws DaemonError.
 */
async function resultFor(id, asker) {
  if (asker.isPrivate) {
    return null;
  }
  const known = await recall(asker.tabId, id);
  const isOthers = known?.document && asker.document && known.document !== asker.document;
  if (known === null || isOthers) {
    throw new DaemonError("gone");
  }
  return known;
}

// --- Bytes ----------------------------------------------------------------------------------

/** @param {CheckMessage} message @param {Asker} asker @returns {Promise<Got|Outcome>} */
async function bytesOf(message, asker) {
  const { picture, bytes } = message;
  if (bytes !== null) {
    return given(message, asker);
  }
  const linked = await linkedOf(message);
  if (typeof linked === "object" && linked !== null) {
    return linked;
  }
  const wanted = addressesOf(picture, linked);
  const allowed = [];
  for (const one of wanted) {
    if (await mayFetch(one.url)) {
      allowed.push(one);
    }
  }
  const got = await first(allowed, message, asker);
  if (got !== null) {
    return got;
  }
  // Without the permission, the page may still have what is needed; if not, it is asked for then.
  return { state: "bytes", ways: ways(message, allowed.length === wanted.length) };
}

/** @param {CheckMessage} message @param {boolean} isAllowed @returns {Way[]} */
function ways({ picture, isAutomatic }, isAllowed) {
  const isDrawn = picture.url === null || ["canvas", "video"].includes(picture.kind);
  /** @type {Way[]} */
  const found = isDrawn ? ["canvas"] : ["page", "canvas"];
  return isAutomatic || !(isAllowed || isDrawn) ? found : [...found, "screen"];
}

/**
 * The address of a linked picture file if the person wants it, null if not, or the question.
 *
 * @param {CheckMessage} message
 * @returns {Promise<string|null|Outcome>}
 */
async function linkedOf({ picture, isAutomatic, answers }) {
  if (picture.linked === null) {
    return null;
  }
  const { linked: remembered } = await loadSettings();
  if (answers.linked !== null && remembered === "ask") {
    await saveSettings({ linked: answers.linked });
  }
  const wish = answers.linked ?? remembered;
  if (isAutomatic || wish === "no") {
    return wish === "yes" ? picture.linked : null;
  }
  if (wish === "ask") {
    return linkedQuestion(picture.linked);
  }
  return (await mayFetch(picture.linked)) ? picture.linked : permissionForLinked(picture.linked);
}

/** @param {string} url @returns {Outcome|null} */
function permissionForLinked(url) {
  const pattern = patternOf(url);
  const no = { id: "no", text: words("ask_linked_no") };
  return pattern === null ? null : permissionQuestion(pattern, no);
}

/** @param {string} url @returns {Outcome} */
function linkedQuestion(url) {
  return {
    state: "ask",
    question: "linked",
    text: words("ask_linked"),
    reason: words("ask_linked_reason", new URL(url).host),
    choices: [
      { id: "yes", text: words("ask_linked_yes") },
      { id: "no", text: words("ask_linked_no") },
    ],
  };
}

/**
 * The addresses to try, the best first.
 *
 * @param {Picture} picture
 * @param {string|null} linked
 * @returns {{url: string, seen: Seen}[]}
 */
function addressesOf(picture, linked) {
  const isVideo = picture.kind === "video";
  const shown = picture.linked === null ? "file" : "preview";
  const found = [
    { url: linked, seen: "linked" },
    { url: picture.larger === picture.url ? null : picture.larger, seen: "larger" },
    { url: isVideo ? null : picture.url, seen: shown },
  ];
  return /** @type {{url: string, seen: Seen}[]} */ (
    found.filter(({ url }) => url !== null && !/^blob:/i.test(url))
  );
}

/**
 * The first that can be had.
 *
 * @param {{url: string, seen: Seen}[]} addresses
 * @param {CheckMessage} message
 * @param {Asker} asker
 * @returns {Promise<Got|null>} Throws DaemonError if the only one is too large.
 */
async function first(addresses, { isAutomatic }, asker) {
  const end = Date.now() + FETCH_MS;
  const withCookies = !asker.hasOwnCookies;
  const mayBeLocal = !isAutomatic || isLocalPage(asker);
  for (const { url, seen } of addresses) {
    const ms = Math.max(1000, end - Date.now());
    try {
      const referrer = isAutomatic ? null : referrerOf(asker.page, url);
      const data = await fromAddress(url, { withCookies, mayBeLocal, referrer, ms });
      return { data, seen };
    } catch (error) {
      const isTooLarge = error instanceof DaemonError && error.problem === "too-large";
      if (isTooLarge && url === addresses.at(-1)?.url) {
        throw error;
      }
    }
  }
  return null;
}

/** @param {Asker} asker */
function isLocalPage({ page }) {
  return URL.canParse(page) && isLocal(page);
}

/**
 * What the content script got, or what to do if it got nothing.
 *
 * @param {CheckMessage} message
 * @param {Asker} asker
 * @returns {Promise<Got|Outcome>}
 */
async function given({ picture, bytes, isAutomatic }, asker) {
  const { way, base64, isLarger } = /** @type {Bytes} */ (bytes);
  if (base64 !== null) {
    return { data: fromBase64(base64), seen: isLarger ? "larger" : seenBy(way, picture) };
  }
  if (way === "screen" && !isAutomatic) {
    return { data: await fromScreen(asker.tabId, picture.rect, picture.ratio), seen: "screen" };
  }
  const pattern = picture.url === null ? null : patternOf(picture.url);
  const isMissing = pattern !== null && !(await mayFetch(/** @type {string} */ (picture.url)));
  if (!isMissing || isAutomatic) {
    return isMissing ? hostPermission(pattern) : problem("gone");
  }
  const screen = { id: "screen", text: words("ask_permission_screen") };
  return permissionQuestion(pattern, screen, words("ask_permission_or_screen"));
}

/** @param {Way} way @param {Picture} picture @returns {Seen} */
function seenBy(way, picture) {
  if (way === "page") {
    return picture.linked === null ? "file" : "preview";
  }
  if (picture.kind === "video") {
    return "frame";
  }
  return picture.kind === "canvas" ? "canvas" : "copy";
}

/**
 * @param {string} pattern
 * @param {{id: string, text: string}} other What can be done without.
 * @param {string} [more] A sentence about it.
 * @returns {Outcome}
 */
function permissionQuestion(pattern, other, more = "") {
  const { button } = hostPermission(pattern);
  return {
    state: "ask",
    question: "permission",
    text: words("ask_permission", hostOf(pattern)),
    reason: [words("ask_permission_reason"), more].filter(Boolean).join(" "),
    choices: [{ id: button?.action ?? "", text: words("ask_permission_allow") }, other],
  };
}

/** The problem that a picture of other hosts may not be asked for. @param {string} pattern */
export function hostPermission(pattern) {
  return problem("host-permission", { host: hostOf(pattern), subject: pattern });
}

/** @param {string} pattern */
function hostOf(pattern) {
  return pattern.replace(/^\w+:\/\//, "").replace(/\/\*$/, "");
}

// --- The daemon -----------------------------------------------------------------------------

/** @param {Got} got @param {CheckMessage} message @param {Asker} asker @returns {Promise<Outcome>} */
async function judge({ data, seen }, message, asker) {
  const about = { seen, name: asker.isPrivate ? "" : nameOf(message.picture) };
  const hash = asker.isPrivate ? null : await sha256(/** @type {BufferSource} */ (data));
  const known = hash === null ? null : await earlier(hash);
  const form = known ? null : await formOf(data, about.name, message, asker);
  const answer =
    known ??
    (await ask({ method: "POST", path: "/checks", form: form ?? undefined, wait: WAIT_S }));
  return outcome(answer, about, asker);
}

/**
 * The answer to equal bytes, if the model and the prompt that judged them are still in use.
 *
 * @param {string} hash
 * @returns {Promise<import("../lib/daemon.js").Answer|null>}
 */
async function earlier(hash) {
  const known = await recallBytes(hash);
  if (known === null) {
    return null;
  }
  try {
    const { body } = await ask({ method: "GET", path: "/state" });
    const isSame = body.model.model === known.model && body.model.prompt === known.prompt;
    return isSame ? await ask({ method: "GET", path: `/checks/${known.id}` }) : null;
  } catch (error) {
    if (error instanceof DaemonError && ["gone", "scope"].includes(error.problem)) {
      return null;
    }
    throw error;
  }
}

/**
 * @param {Uint8Array} data
 * @param {string} name
 * @param {CheckMessage} message
 * @param {Asker} asker
 */
async function formOf(data, name, { isAutomatic }, asker) {
  const { sendPage, sendTitle } = await loadSettings();
  const form = new FormData();
  form.set("file", new Blob([/** @type {BlobPart} */ (data)]), "picture");
  form.set("source", "extension");
  form.set("priority", isAutomatic ? "batch" : "person");
  form.set("private", String(asker.isPrivate));
  const page = asker.isPrivate || sendPage === "no" ? null : pageOf(asker, sendPage);
  if (page) {
    form.set("page", page.slice(0, 2000));
  }
  const title = sendTitle && !asker.isPrivate ? asker.title.trim() : "";
  const called = [name, title].filter(Boolean).join(" – ");
  if (called) {
    form.set("name", called.slice(0, 255));
  }
  return form;
}

/** @param {Asker} asker @param {"host"|"address"} keep */
function pageOf({ site, page }, keep) {
  return keep === "host" || site === null ? site : page;
}

/** The file name in the address of a picture. @param {Picture} picture @returns {string} */
export function nameOf({ url, larger }) {
  const address = url ?? larger;
  if (address === null || !/^https?:/i.test(address)) {
    return "";
  }
  const last = new URL(address).pathname.split("/").at(-1) ?? "";
  try {
    return printable(decodeURIComponent(last)).slice(0, 200);
  } catch {
    return printable(last).slice(0, 200);
  }
}

/** Without what cannot be shown or stored. @param {string} text */
function printable(text) {
  return text.replace(/[\p{C}]/gu, "").trim();
}

/**
 * @param {import("../lib/daemon.js").Answer} answer
 * @param {{seen: Seen|null, name: string}} about
 * @param {Asker} asker
 * @returns {Promise<Outcome>}
 */
async function outcome({ status, body }, { seen, name }, asker) {
  const { document, isPrivate, tabId } = asker;
  const result = { seen, name, document, at: Date.now() };
  if (typeof (body?.check ?? body)?.id !== "string") {
    throw new DaemonError("refused");
  }
  if (status === 202) {
    const { id } = body;
    if (!isPrivate) {
      await remember(tabId, { ...result, id, tone: "waiting", word: waiting(body), sure: "" });
    }
    return { state: "waiting", id, text: waiting(body), seen: seen ?? "file" };
  }
  const scopes = (await loadConnection())?.scopes ?? [];
  const checked = body.check ?? body;
  const view = viewOf(checked, { seen, scopes, isPrivate });
  if (!isPrivate) {
    const { id, tone, word, sure } = view;
    await remember(tabId, { ...result, id, tone, word, sure, confirms: confirmable(checked) });
    await rememberJudged(checked);
  }
  return view;
}

/** @param {any} check A failed check of bytes is sent again the next time. */
async function rememberJudged({ id, sha256: hash, label, model, prompt }) {
  if (hash && label) {
    await rememberBytes(hash, { id, model, prompt, at: Date.now() });
  }
}

/**
 * What is being waited for.
 *
 * @param {{ahead?: number|null, model?: {phase: string}|null}} ticket
 * @returns {string}
 */
function waiting({ ahead, model }) {
  if (model?.phase === "loading" || model?.phase === "asleep") {
    return words("wait_loading");
  }
  return ahead ? count("wait_ahead", ahead) : words("wait_checking");
}
