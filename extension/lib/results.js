// What was judged in which tab, for the popup, the badge and for equal bytes. It is in memory only
// (storage.session), and nothing of private windows is in it.
//
// Every result has a key of its own, so that checks which run at the same time do not overwrite
// each other's.

/**
 * @typedef {import("./messages.js").Seen} Seen
 * @typedef {import("./messages.js").Problem} Problem
 *
 * @typedef {object} Result
 * @property {string} id
 * @property {"waiting"|"made"|"real"|"unsure"|"failed"} tone
 * @property {string} word
 * @property {string} sure
 * @property {Seen|null} seen
 * @property {string} name File name of the picture, or "".
 * @property {string|null} document The document that asked, where the browser says it.
 * @property {number} at Milliseconds since 1970.
 * @property {"real"|"fake"|null} [confirms] The verdict that can be confirmed.
 *
 * @typedef {{id: string, model: string, prompt: string, at: number}} Judged
 */

const MOST_A_TAB = 200;
const MOST_JUDGED = 1000;

/** @param {number} tabId */
const prefix = (tabId) => `result:${tabId}:`;

/** @param {number} tabId @param {Result} result */
export async function remember(tabId, result) {
  await chrome.storage.session.set({ [prefix(tabId) + result.id]: result });
  await prune(prefix(tabId), MOST_A_TAB);
}

/** @param {number} tabId @param {string} id @returns {Promise<Result|null>} */
export async function recall(tabId, id) {
  return stored(prefix(tabId) + id);
}

/** The results of a tab, the newest first. @param {number} tabId @returns {Promise<Result[]>} */
export async function resultsOf(tabId) {
  const found = await startingWith(prefix(tabId));
  return Object.values(found).sort((a, b) => b.at - a.at);
}

/** Forgets a tab: it was closed, or shows another page. @param {number} tabId */
export async function forgetTab(tabId) {
  const keys = Object.keys(await startingWith(prefix(tabId)));
  await chrome.storage.session.remove([...keys, `problem:${tabId}`, `page:${tabId}`]);
}

/**
 * Keeps a problem for the popup, where no card could say it.
 *
 * @param {number} tabId
 * @param {Problem|null} problem Null: there is none any more.
 */
export async function keepProblem(tabId, problem) {
  const key = `problem:${tabId}`;
  await (problem
    ? chrome.storage.session.set({ [key]: problem })
    : chrome.storage.session.remove(key));
}

/** @param {number} tabId @returns {Promise<Problem|null>} */
export async function problemOf(tabId) {
  return stored(`problem:${tabId}`);
}

/** The tabs for which a problem is kept. @returns {Promise<number[]>} */
export async function tabsWithProblems() {
  return Object.keys(await startingWith("problem:")).map((key) => Number(key.split(":")[1]));
}

/** Remembers that these bytes were judged. @param {string} sha256 @param {Judged} judged */
export async function rememberBytes(sha256, judged) {
  await chrome.storage.session.set({ [`bytes:${sha256}`]: judged });
  await prune("bytes:", MOST_JUDGED);
}

/** @param {string} sha256 @returns {Promise<Judged|null>} */
export async function recallBytes(sha256) {
  return stored(`bytes:${sha256}`);
}

/** Says which page a tab shows. @param {number} tabId @param {number} started timeOrigin */
export async function setPage(tabId, started) {
  await chrome.storage.session.set({ [`page:${tabId}`]: started });
}

/** @param {number} tabId @returns {Promise<number|null>} What setPage was told. */
export async function pageOf(tabId) {
  return stored(`page:${tabId}`);
}

/** @param {string} key @returns {Promise<any>} Null if nothing is stored. */
async function stored(key) {
  const found = await chrome.storage.session.get(key);
  return found[key] ?? null;
}

/** @param {string} start @returns {Promise<Record<string, any>>} */
async function startingWith(start) {
  const all = await chrome.storage.session.get(null);
  return Object.fromEntries(Object.entries(all).filter(([key]) => key.startsWith(start)));
}

/** Forgets the oldest, if there are too many. @param {string} start @param {number} most */
async function prune(start, most) {
  const found = Object.entries(await startingWith(start));
  if (found.length > most) {
    const oldest = found.sort(([, a], [, b]) => a.at - b.at).slice(0, found.length - most);
    await chrome.storage.session.remove(oldest.map(([key]) => key));
  }
}
