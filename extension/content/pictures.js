// Finds the picture that a person means: what was under the pointer when they opened the menu,
// what the browser names, or every picture that can be seen.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.pictures) {
    return;
  }
  const { dom, addresses } = antifake;

  const SOURCES = "img,input,canvas,video,image,object,embed";
  const SPACER = 2;
  const REMEMBERED_S = 120;
  const MOST_ADDRESS = 64 * 1024;
  const MOST_DATA = 44e6;
  const STYLES_MS = 300;
  const STILL_PIXELS = 40e6;

  const tag = dom.getter(Element.prototype, "localName");
  const imageUrl = dom.getter(HTMLImageElement.prototype, "currentSrc");
  const imageWidth = dom.getter(HTMLImageElement.prototype, "naturalWidth");
  const imageHeight = dom.getter(HTMLImageElement.prototype, "naturalHeight");
  const videoUrl = dom.getter(HTMLMediaElement.prototype, "currentSrc");
  const videoReady = dom.getter(HTMLMediaElement.prototype, "readyState");
  const videoTime = dom.getter(HTMLMediaElement.prototype, "currentTime");
  const videoPaused = dom.getter(HTMLMediaElement.prototype, "paused");
  const videoWidth = dom.getter(HTMLVideoElement.prototype, "videoWidth");
  const videoHeight = dom.getter(HTMLVideoElement.prototype, "videoHeight");
  const canvasWidth = dom.getter(HTMLCanvasElement.prototype, "width");
  const canvasHeight = dom.getter(HTMLCanvasElement.prototype, "height");

  /** @type {{found: Found[], at: number, isByKeyboard: boolean}|null} what the last contextmenu event was about */
  let remembered = null;

  /** @param {number} width @param {number} height */
  function size(width, height) {
    return width > 0 && height > 0 ? { width, height } : null;
  }

  /** @param {Element} image @param {string} shown @returns {string|null} */
  function largerOf(image, shown) {
    const base = dom.baseURI(image);
    const parent = dom.parent(image);
    const sources = parent && tag(parent) === "picture" ? dom.query(parent, "source") : [];
    for (const source of [...sources, image]) {
      const media = dom.attribute(source, "media");
      if (source !== image && media && !window.matchMedia(media).matches) {
        continue;
      }
      const srcset = dom.attribute(source, "srcset");
      // Another source may be another picture (art direction): only the chosen one counts.
      if (srcset && addresses.holds(srcset, shown, base)) {
        return addresses.largest(srcset, shown, base);
      }
    }
    return null;
  }

  /** @param {Element} image @returns {Basics|null} */
  function ofImage(image) {
    const base = dom.baseURI(image);
    const url = addresses.absolute(imageUrl(image) || dom.attribute(image, "src"), base);
    const natural = size(imageWidth(image), imageHeight(image));
    if (!url || !natural) {
      return null;
    }
    return { kind: "image", url, larger: largerOf(image, url), natural };
  }

  /** @param {Element} video @returns {Basics|null} */
  function ofVideo(video) {
    const base = dom.baseURI(video);
    const poster = addresses.absolute(dom.attribute(video, "poster"), base);
    const isUntouched = videoPaused(video) && videoTime(video) === 0;
    if (poster && (isUntouched || videoReady(video) < 2)) {
      return { kind: "poster", url: poster, larger: null, natural: null };
    }
    // While it loads or seeks there may be no frame to read, but the screen may show one.
    const natural = size(videoWidth(video), videoHeight(video));
    return { kind: "video", url: null, larger: null, natural };
  }

  /** @param {Basics|null} found @returns {boolean} a video that has not shown anything yet */
  function isEmptyVideo(found) {
    return found?.kind === "video" && !found.natural;
  }

  /** @param {Element} element @returns {Basics|null} */
  function ofEmbedded(element) {
    const base = dom.baseURI(element);
    const type = dom.attribute(element, "type") ?? "";
    const name = tag(element) === "object" ? "data" : "src";
    const url = addresses.absolute(dom.attribute(element, name), base);
    const isPicture = /^image\//i.test(type) || addresses.pictureLink(url, base);
    return url && isPicture ? { kind: "image", url, larger: null, natural: null } : null;
  }

  /** @param {Element} element @returns {Basics|null} */
  function ofSvgImage(element) {
    const xlink = "http://www.w3.org/1999/xlink";
    const href =
      dom.attribute(element, "href") ??
      Element.prototype.getAttributeNS.call(element, xlink, "href");
    const url = addresses.absolute(href, dom.baseURI(element));
    return url ? { kind: "svg", url, larger: null, natural: null } : null;
  }

  /** @param {Element} element @returns {Basics|null} what it is by itself, without its CSS */
  function ofSource(element) {
    if (element instanceof HTMLImageElement) {
      return ofImage(element);
    }
    if (element instanceof HTMLVideoElement) {
      return ofVideo(element);
    }
    if (element instanceof HTMLCanvasElement) {
      const natural = size(canvasWidth(element), canvasHeight(element));
      return natural && { kind: "canvas", url: null, larger: null, natural };
    }
    if (element instanceof SVGElement && tag(element) === "image") {
      return ofSvgImage(element);
    }
    if (element instanceof HTMLInputElement) {
      if ((dom.attribute(element, "type") ?? "").toLowerCase() !== "image") {
        return null;
      }
      const url = addresses.absolute(dom.attribute(element, "src"), dom.baseURI(element));
      return url ? { kind: "image", url, larger: null, natural: null } : null;
    }
    return ["object", "embed"].includes(tag(element)) ? ofEmbedded(element) : null;
  }

  /**
   * @param {Element} element
   * @returns {Basics|null} what its CSS draws: a background, or content of a pseudo-element
   */
  function ofCss(element) {
    const base = dom.baseURI(element);
    for (const pseudo of ["", "::before", "::after"]) {
      const style = dom.style(element, pseudo || undefined);
      if (pseudo && (style.content === "none" || style.content === "normal")) {
        continue;
      }
      for (const value of [style.content, style.backgroundImage, style.borderImageSource]) {
        const found = addresses.fromCss(value, window.devicePixelRatio, base);
        if (found && !isSpacer(found.url)) {
          return { kind: "background", ...found, natural: null };
        }
      }
    }
    return null;
  }

  /** @param {string|null} url @returns {boolean} a one-pixel picture that pages use as a cover */
  function isSpacer(url) {
    return Boolean(url?.startsWith("data:image/") && url.length < 180 && !/svg/.test(url));
  }

  /** @param {Element} element @returns {string|null} */
  function linkOf(element) {
    const link = dom.lineage(element).find((one) => dom.matches(one, "a[href]"));
    if (!link) {
      return null;
    }
    return addresses.pictureLink(dom.attribute(link, "href"), dom.baseURI(link));
  }

  /**
   * @param {Element} element
   * @returns {Found|null} the picture that this element shows now
   */
  function read(element) {
    const basics = ofSource(element) ?? ofCss(element);
    if (!basics) {
      return null;
    }
    const { width, height } = dom.rect(element);
    if (basics.natural && Math.max(basics.natural.width, basics.natural.height) <= SPACER) {
      return null;
    }
    const linked = linkOf(element);
    const isLinked = linked && linked !== basics.url && linked !== basics.larger;
    return {
      element,
      ...basics,
      linked: isLinked ? linked : null,
      shown: { width: Math.round(width), height: Math.round(height) },
      still: null,
    };
  }

  /** @param {Found} found @returns {Found} with what a moving picture shows at this moment */
  function hold(found) {
    const { kind, natural } = found;
    if ((kind !== "canvas" && kind !== "video") || !natural) {
      return found;
    }
    if (natural.width * natural.height > STILL_PIXELS) {
      return found;
    }
    return {
      ...found,
      still: createImageBitmap(/** @type {any} */ (found.element)).catch(() => null),
    };
  }

  /** @param {Element} element @returns {Element} the picture of an image map instead of its area */
  function withoutMap(element) {
    const map = tag(element) === "area" && dom.parent(element);
    const name = map && dom.attribute(map, "name");
    const users = name ? dom.query(dom.document, "img[usemap]") : [];
    return users.find((one) => dom.attribute(one, "usemap") === `#${name}`) ?? element;
  }

  /** @param {Element} element @param {number} x @param {number} y @returns {boolean} */
  function covers(element, x, y) {
    const box = dom.rect(element);
    return x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
  }

  /** @param {number} x @param {number} y @returns {Found[]} pictures that no pointer can hit */
  function beneath(x, y) {
    const near = dom.find(SOURCES).filter((one) => covers(one, x, y));
    return near.flatMap((one) => (dom.isVisible(one) && read(one)) || []).reverse();
  }

  /** @param {Found[]} all @returns {Found[]} those that can be seen first, else in their order */
  function visibleFirst(all) {
    /** @param {Found} one */
    const isSeen = (one) => dom.isVisible(one.element) && !isEmptyVideo(one);
    return [...all.filter(isSeen), ...all.filter((one) => !isSeen(one))];
  }

  /**
   * @param {number} x in CSS pixels of the viewport
   * @param {number} y
   * @returns {Found[]} the pictures at this point, the one on top first
   */
  function at(x, y) {
    const elements = new Set(dom.elementsAt(x, y).map(withoutMap));
    const found = [...elements].flatMap((one) => read(one) ?? []);
    return found.length ? visibleFirst(found) : beneath(x, y);
  }

  /** @param {PointerEvent} event @returns {void} */
  function remember(event) {
    if (!event.isTrusted) {
      return;
    }
    const found = at(event.clientX, event.clientY);
    if (found.length) {
      found[0] = hold(found[0]);
    }
    const isByKeyboard = event.mozInputSource === 6 || event.pointerType === "";
    remembered = { found, at: performance.now(), isByKeyboard };
  }

  /** What the last contextmenu event was about, if the menu can still be open. */
  function recent() {
    const isRecent = remembered && performance.now() - remembered.at < REMEMBERED_S * 1000;
    return isRecent ? remembered : null;
  }

  /** @param {Found} one @param {string|null} srcUrl @returns {boolean} */
  function shows(one, srcUrl) {
    if (!(one.element instanceof HTMLVideoElement)) {
      return one.url === srcUrl;
    }
    // The browser names the film, also where its poster is what is seen.
    return addresses.absolute(videoUrl(one.element), dom.baseURI(one.element)) === srcUrl;
  }

  /** @param {string} srcUrl @returns {Found|null} the picture with this address, hovered ones first */
  function bySource(srcUrl) {
    const wanted = addresses.absolute(srcUrl, dom.baseURI(dom.document));
    const all = dom.find(SOURCES).flatMap((one) => read(one) ?? []);
    const found = all.filter((one) => shows(one, wanted));
    /** @param {Found} one */
    const isHovered = (one) => dom.matches(one.element, ":hover");
    const seen = visibleFirst(found);
    return seen.find(isHovered) ?? seen.find(isInView) ?? seen[0] ?? null;
  }

  /** @param {number|null} id of Firefox: the element that its menu was opened on @returns {Found|null} */
  function byTarget(id) {
    const menus = globalThis.browser?.menus ?? globalThis.browser?.contextMenus;
    const target = id === null ? null : menus?.getTargetElement?.(id);
    if (!target) {
      return null;
    }
    const own = read(withoutMap(target));
    if (own && own.kind !== "background") {
      return own;
    }
    const box = dom.rect(target);
    return at(box.left + box.width / 2, box.top + box.height / 2)[0] ?? own;
  }

  /** @returns {Found|null} the picture under the pointer, as far as the page knows it */
  function hovered() {
    const line = dom.query(dom.document, ":hover").reverse();
    const top = line.length && dom.isVisible(line[0]) ? read(line[0]) : null;
    const own = isEmptyVideo(top) ? null : top;
    const rest = () => line.map(read).find((one) => one && dom.isVisible(one.element));
    return own ?? (line.length ? underneath(line[0]) : null) ?? rest() ?? null;
  }

  /**
   * @param {Element} cover
   * @returns {Found|null} the picture under all of it, so that it is also where the pointer is
   */
  function underneath(cover) {
    const box = dom.rect(cover);
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    const isUnderAll = (/** @type {Found} */ { element }) =>
      covers(element, box.left + 1, box.top + 1) && covers(element, box.right - 1, box.bottom - 1);
    return at(x, y).find(isUnderAll) ?? null;
  }

  /** @param {{element: Element}} found @returns {boolean} */
  function isInView(found) {
    const box = dom.rect(found.element);
    const { innerWidth, innerHeight } = window;
    return box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;
  }

  /**
   * @param {{srcUrl: string|null, targetElementId: number|null}} info of the menu
   * @returns {Found|null} the picture that a person opened the menu on
   */
  function fromMenu({ srcUrl, targetElementId }) {
    const known = recent()?.found ?? [];
    if (srcUrl) {
      const wanted = addresses.absolute(srcUrl, dom.baseURI(dom.document));
      const named = known.find((one) => shows(one, wanted)) ?? bySource(srcUrl) ?? null;
      // Pages lay a video that still loads over its preview, which is what the person sees.
      return isEmptyVideo(named) ? (known[0] ?? hovered() ?? named) : named;
    }
    return known[0] ?? (recent() ? null : (byTarget(targetElementId) ?? hovered()));
  }

  /** @param {Element} element @param {number} least @returns {boolean} */
  function isLargeInView(element, least) {
    const { width, height } = dom.rect(element);
    return Math.min(width, height) >= least && isInView({ element }) && dom.isVisible(element);
  }

  /** @param {Found} one @param {Found} two @returns {number} as one reads: from the top */
  function byPlace(one, two) {
    const [a, b] = [dom.rect(one.element), dom.rect(two.element)];
    return a.top - b.top || a.left - b.left;
  }

  /** @param {number} least side in CSS pixels @returns {Found[]} pictures in view, from the top */
  function inView(least) {
    const sources = dom.find(SOURCES);
    const known = new Set(sources);
    const found = sources
      .filter((one) => isLargeInView(one, least))
      .flatMap((one) => read(one) ?? []);
    const end = performance.now() + STYLES_MS;
    for (const element of dom.elements(dom.document)) {
      if (performance.now() > end) {
        break; // A page of extreme size: backgrounds further down cannot be picked.
      }
      const one = !known.has(element) && isLargeInView(element, least) && read(element);
      if (one) {
        found.push(one);
      }
    }
    return found.sort(byPlace);
  }

  /** @returns {{x: number, y: number}|null} where this frame lies in the top one, if it may know */
  function frameOffset() {
    let [x, y] = [0, 0];
    try {
      for (let view = /** @type {any} */ (window); view !== view.top; view = view.parent) {
        const frame = view.frameElement;
        if (!frame) {
          return null;
        }
        const box = dom.rect(frame);
        const style = view.parent.getComputedStyle(frame);
        x += box.left + parseFloat(style.borderLeftWidth) + parseFloat(style.paddingLeft);
        y += box.top + parseFloat(style.borderTopWidth) + parseFloat(style.paddingTop);
      }
    } catch {
      return null;
    }
    return { x, y };
  }

  /** @param {string|null} url @returns {string|null} null if it is too long for a message */
  function sendable(url) {
    const most = url?.startsWith("data:") ? MOST_DATA : MOST_ADDRESS;
    return url && url.length <= most ? url : null;
  }

  /** @param {Found} found @returns {object} the Picture of a message, with its place of this moment */
  function describe(found) {
    const { kind, url, larger, linked, shown, natural, element } = found;
    const offset = dom.isConnected(element) ? frameOffset() : null;
    const box = dom.rect(element);
    const rect = offset && {
      x: box.left + offset.x,
      y: box.top + offset.y,
      width: box.width,
      height: box.height,
    };
    return {
      kind,
      url: sendable(url),
      larger: sendable(larger),
      linked: sendable(linked),
      shown,
      natural,
      rect,
      ratio: window.devicePixelRatio,
    };
  }

  /** @param {Found} found @returns {boolean} the element still shows the picture that was found */
  function isUnchanged(found) {
    if (!dom.isConnected(found.element)) {
      return false;
    }
    const now = read(found.element);
    return Boolean(now && now.kind === found.kind && now.url === found.url);
  }

  dom.listen(window, "contextmenu", remember, { capture: true, passive: true });
  antifake.pictures = Object.freeze({
    read,
    hold,
    at,
    fromMenu,
    wasByKeyboard: () => Boolean(recent()?.isByKeyboard),
    hovered,
    inView,
    describe,
    isInView,
    isUnchanged,
    isEmptyVideo,
  });
})();
