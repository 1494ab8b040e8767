// Puts the content scripts into pages: where the person asks, and by themselves on chosen sites.

/** In this order: each uses those before it. */
export const CONTENT_FILES = [
  "content/dom.js",
  "content/addresses.js",
  "content/words.js",
  "content/messaging.js",
  "content/surface.js",
  "content/pictures.js",
  "content/bytes.js",
  "content/checking.js",
  "content/placement.js",
  "content/card_style.js",
  "content/card_view.js",
  "content/card.js",
  "content/spatial.js",
  "content/picker.js",
  "content/marks.js",
  "content/main.js",
];

/** On sites that are marked on their own. */
export const MARKING_FILES = [...CONTENT_FILES, "content/marking.js"];

/**
 * Puts the content scripts into one frame, and hands them a message. Each of them does nothing if
 * it is already there.
 *
 * Both are asked for at once: the browser may end this worker before the first is done, and what
 * the person has clicked must not be lost then.
 *
 * @param {number} tabId
 * @param {number} frameId
 * @param {object} message
 * @returns {Promise<boolean>} False if the browser lets nothing into this page.
 */
export async function inject(tabId, frameId, message) {
  try {
    const target = { tabId, frameIds: [frameId] };
    await Promise.all([
      chrome.scripting.executeScript({ target, files: CONTENT_FILES }),
      chrome.scripting.executeScript({ target, func: hand, args: [message] }),
    ]);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs in the page, before or after the content scripts: their files have to be loaded first.
 *
 * @param {object} message
 */
function hand(message) {
  // An own property, since a page can make others with <form id="antifake">.
  const own = (/** @type {string} */ name) =>
    Object.getOwnPropertyDescriptor(globalThis, name)?.value;
  const take = own("antifake")?.take;
  if (take) {
    take(message);
    return;
  }
  const value = [...(own("antifakeWaiting") ?? []), message];
  Object.defineProperty(globalThis, "antifakeWaiting", { value, configurable: true });
}
