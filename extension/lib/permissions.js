// What is asked for together with the permission to load pictures from hosts.

/**
 * The wish for chrome.permissions.request. Where the browser knows it, it includes the permission
 * to say which page a picture is on; the browser shows no words of its own for that.
 *
 * @param {string[]} origins
 * @returns {{origins: string[], permissions: any[]}}
 */
export function wishFor(origins) {
  const isChromium = chrome.runtime.getURL("").startsWith("chrome-extension:");
  const optional = isChromium ? (chrome.runtime.getManifest().optional_permissions ?? []) : [];
  return { origins, permissions: optional };
}
