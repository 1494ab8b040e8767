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
 * Puts the content scripts into one frame. Each of them does nothing if it is already there.
 *
 * @param {number} tabId
 * @param {number} frameId
 * @returns {Promise<boolean>} False if the browser lets nothing into this page.
 */
export async function inject(tabId, frameId) {
  try {
    const target = { tabId, frameIds: [frameId] };
    await chrome.scripting.executeScript({ target, files: CONTENT_FILES });
    return true;
  } catch {
    return false;
  }
}
