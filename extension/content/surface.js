// The layer above the page that card, pick mode and marks are drawn on: an element with a closed
// shadow root that the page can neither read nor restyle. It can remove it: it is put back a few
// times, and then the verdict is left to the popup.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.surface) {
    return;
  }
  const { dom } = antifake;

  const MOST_RESCUES = 6;
  const WATCH_MS = 300;

  /** Important rules inside a shadow tree win over every rule of the page, also inline ones. */
  const HOST_CSS = `
    :host {
      all: initial !important;
      direction: ltr !important; unicode-bidi: normal !important;
      display: block !important; position: fixed !important; inset: 0 !important;
      width: auto !important; height: auto !important; margin: 0 !important;
      padding: 0 !important; border: 0 !important; overflow: visible !important;
      background: none !important; opacity: 1 !important; visibility: visible !important;
      pointer-events: none !important; z-index: 2147483647 !important;
      transform: none !important; filter: none !important; clip-path: none !important;
      mask: none !important; contain: none !important; content-visibility: visible !important;
      color-scheme: light dark !important; transition: none !important;
      animation: none !important; zoom: 1 !important;
    }
    :host(:not([popover])) {
      position: absolute !important; inset: 0 auto auto 0 !important;
      width: 0 !important; height: 0 !important;
    }
    :host::backdrop { display: none !important; }
  `;

  /** Open surfaces, to take them away while the screen is copied. */
  const all = new Set();

  /** @param {ShadowRoot} shadow @param {string} css @returns {void} */
  function dress(shadow, css) {
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(css);
      shadow.adoptedStyleSheets = [sheet];
    } catch {
      // Firefox has no adopted style sheets for content scripts; their style elements are exempt
      // from the page's policy there.
      const style = dom.create("style");
      style.textContent = css;
      dom.append(shadow, style);
    }
  }

  /** @param {Element|null} near @returns {Element} where a surface can be used: all but the
   * uppermost modal dialog is inert */
  function container(near) {
    const line = near ? dom.lineage(near) : [];
    const own = line.find((one) => dom.matches(one, "dialog:modal"));
    return own ?? dom.query(dom.document, "dialog:modal").pop() ?? dom.root();
  }

  /**
   * @param {string} css
   * @param {{isTop: boolean, onLost?: () => void}} options top layer, or scrolling with the page
   */
  function create(css, { isTop, onLost = () => {} }) {
    const host = dom.create("div");
    dom.markOwn(host);
    const shadow = Element.prototype.attachShadow.call(host, { mode: "closed" });
    dress(shadow, HOST_CSS + css);
    const root = dom.create("div");
    root.className = "antifake";
    root.dir = antifake.words.direction;
    root.lang = antifake.words.language;
    dom.append(shadow, root);
    let near = null;
    let rescues = 0;
    let timer = 0;

    function raise() {
      if (!isTop) {
        return;
      }
      host.setAttribute("popover", "manual");
      if (dom.matches(host, ":popover-open")) {
        host.hidePopover();
      }
      host.showPopover();
    }

    function isIntact() {
      const names = host.getAttributeNames();
      const isPlain = names.every((name) => name === "popover") && names.length === Number(isTop);
      return isPlain && dom.isConnected(host) && (!isTop || dom.matches(host, ":popover-open"));
    }

    function mend() {
      for (const name of host.getAttributeNames()) {
        host.removeAttribute(name);
      }
      const place = container(near);
      if (!dom.isConnected(host) || dom.parent(host) !== place) {
        dom.append(place, host);
      }
      raise();
    }

    function watch() {
      if (!antifake.messaging.isAlive()) {
        return lose();
      }
      if (isIntact()) {
        return undefined;
      }
      rescues += 1;
      if (rescues > MOST_RESCUES) {
        return lose();
      }
      return mend();
    }

    const observer = new MutationObserver(watch);

    function show(element) {
      near = element;
      if (timer) {
        return;
      }
      mend();
      timer = setInterval(watch, WATCH_MS);
      observer.observe(host, { attributes: true });
      observer.observe(dom.root(), { childList: true });
      all.add(surface);
    }

    function hide() {
      clearInterval(timer);
      timer = 0;
      rescues = 0;
      observer.disconnect();
      all.delete(surface);
      dom.remove(host);
    }

    function lose() {
      hide();
      onLost();
    }

    const surface = Object.freeze({
      root,
      shadow,
      host,
      show,
      hide,
      raise,
      isShown: () => timer !== 0,
      hasFocus: () => Boolean(shadow.activeElement),
      focus: (element) => element.focus({ preventScroll: true }),
    });
    return surface;
  }

  /** @returns {Promise<void>} after the screen was drawn twice */
  function drawn() {
    const frames = new Promise((resolve) => {
      requestAnimationFrame(() => requestAnimationFrame(() => resolve()));
    });
    return Promise.race([frames, antifake.messaging.pause(500)]);
  }

  /**
   * Takes everything of ours from the screen while `work` runs.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async function whileHidden(work) {
    const hidden = [...all];
    for (const one of hidden) {
      one.root.style.display = "none";
    }
    try {
      await drawn();
      return await work();
    } finally {
      for (const one of hidden) {
        one.root.style.display = "";
      }
    }
  }

  antifake.surface = Object.freeze({ create, whileHidden });
})();
