// The key that a page sends with each change. Browsers send cookies to every port of a host name, but
// keep this for the pages of one port.

const NAME = "antifake.page-key";

// A link that begins a session leads here with its key.
const given = /^#key=([0-9a-f]{64})$/.exec(location.hash)?.[1];
if (given) {
  keepPageKey(given);
  history.replaceState(history.state, "", location.pathname + location.search);
}

/** Keep the key of this session. Without room for it the pages can only show things. */
export function keepPageKey(key) {
  try {
    localStorage.setItem(NAME, key);
  } catch {
    // A browser that keeps nothing: a change is then refused with a sentence.
  }
}

export function pageKey() {
  try {
    return localStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}
