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

  // A page draws one frame while the one before is still on its way to the screen.
  const FRAMES = 4;
  const DRAWN_MS = 5000;

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

  /** A modal dialog, or what fills the screen: in Chromium all else is inert then. */
  const UPPERMOST = "dialog:modal, :fullscreen:not(img, video, canvas, iframe, embed, object, svg)";

  /** @param {Element|null} near @returns {Element} where a surface near it can be used */
  function container(near) {
    const own = (near ? dom.lineage(near) : []).find((one) => dom.matches(one, UPPERMOST));
    return own ?? dom.query(dom.document, UPPERMOST).pop() ?? dom.root();
  }

  class Surface {
    #isTop;
    #onLost;
    #observer = new MutationObserver(() => this.#watch());
    /** @type {Element|null} */
    #near = null;
    #rescues = 0;
    #timer = 0;

    /** @param {string} css @param {{isTop: boolean, onLost: () => void}} options */
    constructor(css, { isTop, onLost }) {
      this.#isTop = isTop;
      this.#onLost = onLost;
      this.host = dom.create("div");
      dom.markOwn(this.host);
      this.shadow = Element.prototype.attachShadow.call(this.host, { mode: "closed" });
      dress(this.shadow, HOST_CSS + css);
      this.root = dom.create("div");
      this.root.className = "antifake";
      this.root.dir = antifake.words.direction;
      this.root.lang = antifake.words.language;
      dom.append(this.shadow, this.root);
    }

    /** @param {Element|null} near the surface goes into the dialog that holds this */
    show(near) {
      this.#near = near;
      if (this.#timer) {
        return;
      }
      this.#mend();
      this.#timer = setInterval(() => this.#watch(), WATCH_MS);
      this.#observer.observe(this.host, { attributes: true });
      this.#observer.observe(dom.root(), { childList: true });
      all.add(this);
    }

    hide() {
      clearInterval(this.#timer);
      this.#timer = 0;
      this.#rescues = 0;
      this.#observer.disconnect();
      all.delete(this);
      dom.remove(this.host);
    }

    /** Puts it above whatever the page has put into the top layer since. */
    raise() {
      if (!this.#isTop) {
        return;
      }
      this.host.setAttribute("popover", "manual");
      try {
        if (dom.matches(this.host, ":popover-open")) {
          this.host.hidePopover();
        }
        this.host.showPopover();
      } catch {
        // The page has taken it out again meanwhile; #watch() sees that.
      }
    }

    /** @returns {boolean} */
    isShown() {
      return this.#timer !== 0;
    }

    /** @returns {boolean} */
    hasFocus() {
      return Boolean(this.shadow.activeElement);
    }

    /** @param {HTMLElement} element */
    focus(element) {
      element.focus({ preventScroll: true });
    }

    #isIntact() {
      const names = this.host.getAttributeNames();
      const isPlain = names.join() === (this.#isTop ? "popover" : "");
      const isUp = !this.#isTop || dom.matches(this.host, ":popover-open");
      return isPlain && isUp && dom.isConnected(this.host);
    }

    #mend() {
      for (const name of this.host.getAttributeNames()) {
        this.host.removeAttribute(name);
      }
      const place = container(this.#near);
      if (!dom.isConnected(this.host) || dom.parent(this.host) !== place) {
        dom.append(place, this.host);
      }
      this.raise();
      this.#observer.takeRecords();
    }

    #watch() {
      const isAlive = antifake.messaging.isAlive();
      if (isAlive && this.#isIntact()) {
        if (dom.parent(this.host) !== container(this.#near)) {
          this.#mend(); // The page has opened a dialog since.
        }
        return;
      }
      this.#rescues += 1;
      if (isAlive && this.#rescues <= MOST_RESCUES) {
        this.#mend();
        return;
      }
      this.hide();
      this.#onLost();
    }
  }

  /** @returns {Promise<boolean>} whether the screen was drawn again, as often as it takes */
  async function drawn() {
    const frames = (async () => {
      for (let frame = 0; frame < FRAMES; frame++) {
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
      return true;
    })();
    return Promise.race([frames, antifake.messaging.pause(DRAWN_MS).then(() => false)]);
  }

  /**
   * Takes everything of ours from the screen while `work` runs.
   * @template T
   * @param {(isHidden: boolean) => Promise<T>} work is told false if the screen stands still, so
   *     that what is ours may still be seen
   * @returns {Promise<T>}
   */
  async function whileHidden(work) {
    const hidden = [...all];
    for (const one of hidden) {
      one.root.style.display = "none";
    }
    try {
      return await work(await drawn());
    } finally {
      for (const one of hidden) {
        one.root.style.display = "";
      }
    }
  }

  antifake.surface = Object.freeze({
    /** @param {string} css @param {{isTop: boolean, onLost: () => void}} options */
    create: (css, options) => new Surface(css, options),
    whileHidden,
  });
})();
