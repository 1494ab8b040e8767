// Some sites hand out their pictures only to their own pages. For a picture that a person asks
// about, the request then says which page it is on, as the request of the page itself did.
//
// An extension cannot set the header Referer by itself. A rule of declarativeNetRequest can; it
// exists for the time of one request, and for requests of the extension alone.

const RULE_ID = 1;
const MOST_MS = 500;

/** Whether the browser can do it and the person has allowed it. @returns {boolean} */
export function canSayReferrer() {
  return chrome.declarativeNetRequest !== undefined;
}

/**
 * What a browser says by default about the page that a picture is on.
 *
 * @param {string} page
 * @param {string} url Of the picture.
 * @returns {string|null} Null if nothing.
 */
export function referrerOf(page, url) {
  if (!URL.canParse(page)) {
    return null;
  }
  const { protocol, origin, pathname, search } = new URL(page);
  if (!["http:", "https:"].includes(protocol)) {
    return null;
  }
  if (protocol === "https:" && new URL(url).protocol === "http:") {
    return null;
  }
  return origin === new URL(url).origin ? origin + pathname + search : `${origin}/`;
}

/**
 * Runs a request that says where it comes from.
 *
 * @template T
 * @param {string} url
 * @param {string} referrer
 * @param {() => Promise<T>} request
 * @returns {Promise<T|null>} Null if the browser does not take the rule, so nothing was asked.
 */
export function withReferrer(url, referrer, request) {
  return navigator.locks.request("referrer", async () => {
    const change = { removeRuleIds: [RULE_ID], addRules: [rule(url, referrer)] };
    try {
      return (await isTaken(change)) ? await request() : null;
    } finally {
      // Also if no answer came: the browser may take the rule later.
      await isTaken({ removeRuleIds: [RULE_ID] });
    }
  });
}

/**
 * Whether the browser takes a change of the rules. Chromium never answers if the permission was
 * granted while it runs (seen in 156), so it is not waited for longer than a moment.
 *
 * @param {chrome.declarativeNetRequest.UpdateRuleOptions} change
 * @returns {Promise<boolean>}
 */
function isTaken(change) {
  return Promise.race([
    chrome.declarativeNetRequest.updateSessionRules(change).then(
      () => true,
      () => false,
    ),
    new Promise((resolve) => setTimeout(() => resolve(false), MOST_MS)),
  ]);
}

/** @param {string} url @param {string} referrer @returns {chrome.declarativeNetRequest.Rule} */
function rule(url, referrer) {
  return /** @type {chrome.declarativeNetRequest.Rule} */ ({
    id: RULE_ID,
    action: {
      type: "modifyHeaders",
      requestHeaders: [{ header: "Referer", operation: "set", value: referrer }],
    },
    condition: {
      urlFilter: `|${url}|`,
      resourceTypes: ["xmlhttprequest"],
      tabIds: [-1],
      initiatorDomains: [chrome.runtime.id],
    },
  });
}
