// What the content scripts share. They are classic scripts without imports, so their common object
// is declared here for the type checker.

type Way = "page" | "canvas" | "screen";
type Bind = (target: EventTarget, type: string, listener: any, options?: any) => void;

interface Size {
  width: number;
  height: number;
}

/** In CSS pixels of the viewport. */
interface Box extends Size {
  x: number;
  y: number;
}

interface Point {
  x: number;
  y: number;
}

/** A picture that was found, as it was then. */
interface Found {
  element: Element;
  kind: "image" | "background" | "canvas" | "video" | "poster" | "svg";
  url: string | null;
  larger: string | null;
  linked: string | null;
  shown: Size;
  natural: Size | null;
  /** What a canvas or a video showed when it was found. */
  still: Promise<ImageBitmap | null> | null;
}

type Basics = Pick<Found, "kind" | "url" | "larger" | "natural">;

/** An answer of the worker; lib/messages.js says which fields come with which state. */
interface Outcome {
  state: string;
  [field: string]: any;
}

interface Limits {
  perPage: number;
  atOnce: number;
  minSide: number;
}

/** One check, from the picture to an outcome that ends it. */
interface Plan {
  found: Found;
  isAutomatic: boolean;
  answers: { linked: "yes" | "no" | null };
  /** The person chose a copy of the screen. */
  isScreen?: boolean;
  signal: AbortSignal;
  onWait?: (outcome: Outcome) => void;
}

/** How a card is opened. */
interface Opening {
  /** The focus goes into the card. */
  isByKeyboard?: boolean;
  /** Of an earlier check of this picture. */
  outcome?: Outcome | null;
  /** Called with every verdict, also after a correction. */
  onVerdict?: (outcome: Outcome) => void;
}

/** A picture that a card is or will be shown for. */
interface CardRequest {
  found: Found;
  isByKeyboard: boolean;
  outcome: Outcome | null;
  onVerdict?: (outcome: Outcome) => void;
  answers: { linked: "yes" | "no" | null };
  abort: AbortController;
  seen: string | null;
  seenText: string;
  isBusy: boolean;
  notice: Notice | null;
  where: "here" | "away" | "gone";
}

interface Action {
  id: string;
  text: string;
  look?: string;
  icon?: string;
}

interface Notice {
  text: string;
  action: Action | null;
}

/** A check of marks.js, shared by elements that show the same picture. */
interface MarkCheck {
  found: Found;
  outcome: Outcome | null;
  isRunning: boolean;
  isOver: boolean;
  times: number;
}

/** An element that marks.js watches. */
interface MarkEntry {
  element: Element;
  isShown: boolean;
  isCovered: boolean;
  found: Found | null;
  check: MarkCheck | null;
  mark: HTMLElement | null;
}

/** A picture that can be picked. */
interface Item {
  found: Found;
  box: Box;
  frame: HTMLElement | null;
}

/** What a card shows. */
interface View {
  tone: string;
  word: string;
  sure?: string;
  lines?: { text: string; lang: string }[];
  notes?: string[];
  text?: string;
  notice?: Notice | null;
  isWaiting?: boolean;
  isBusy?: boolean;
  actions: Action[];
  links: Action[];
}

interface Surface {
  readonly host: HTMLElement;
  readonly shadow: ShadowRoot;
  readonly root: HTMLElement;
  show(near: Element | null): void;
  hide(): void;
  raise(): void;
  isShown(): boolean;
  hasFocus(): boolean;
  focus(element: HTMLElement): void;
}

interface Antifake {
  isStarted: boolean;
  take(message: { type: string }): void;
  dom: {
    getter(prototype: object, name: string): (node: any) => any;
    method(prototype: object, name: string): (node: any, ...rest: any[]) => any;
    create<T extends keyof HTMLElementTagNameMap>(tag: T): HTMLElementTagNameMap[T];
    createSvg(tag: string): SVGElement;
    query(root: Node, selector: string): Element[];
    shadowRoot(element: Element): ShadowRoot | null;
    parent(node: Node): Element | null;
    lineage(element: Element): Element[];
    matches(element: Node, selector: string): boolean;
    attribute(element: Element, name: string): string | null;
    rect(element: Element): DOMRect;
    style(element: Element, pseudo?: string): CSSStyleDeclaration;
    isVisible(element: Element): boolean;
    elementsAt(x: number, y: number): Element[];
    find(selector: string): Element[];
    elements(root: Node): Generator<Element>;
    focused(): Element | null;
    listen: Bind;
    unlisten: Bind;
    isConnected(node: Node): boolean;
    root(): Element;
    isHidden(): boolean;
    baseURI(node: Node): string;
    append(node: Node, child: Node): void;
    remove(node: Element): void;
    focus(element: Element, options?: FocusOptions): void;
    isOwn(node: Node): boolean;
    markOwn(element: Element): void;
    document: Document;
  };
  addresses: {
    absolute(text: string | null | undefined, base: string): string | null;
    parseSrcset(text: string): { url: string; width: number | null; density: number | null }[];
    largest(srcset: string, shown: string, base: string): string | null;
    holds(text: string, shown: string, base: string): boolean;
    fromCss(
      value: string,
      ratio: number,
      base: string,
    ): { url: string; larger: string | null } | null;
    pictureLink(href: string | null, base: string): string | null;
  };
  words: {
    say(key: string, ...values: (string | number)[]): string;
    count(key: string, n: number): string;
    language: string;
    direction: "ltr" | "rtl";
  };
  messaging: {
    ask(message: object): Promise<Outcome | null>;
    isAlive(): boolean;
    pause(ms: number): Promise<void>;
  };
  surface: {
    create(css: string, options: { isTop: boolean; onLost: () => void }): Surface;
    whileHidden<T>(work: (isHidden: boolean) => Promise<T>): Promise<T>;
  };
  pictures: {
    read(element: Element): Found | null;
    hold(found: Found): Found;
    at(x: number, y: number): Found[];
    fromMenu(info: { srcUrl: string | null; targetElementId: number | null }): Found | null;
    wasByKeyboard(): boolean;
    hovered(): Found | null;
    inView(least: number): Found[];
    describe(found: Found): object;
    isInView(found: { element: Element }): boolean;
    isUnchanged(found: Found): boolean;
    isEmptyVideo(found: Basics | null): boolean;
  };
  bytes: { get(found: Found, way: Way): Promise<{ base64: string; isLarger: boolean } | null> };
  checking: {
    run(plan: Plan): Promise<Outcome | null>;
    isGone(found: Found): boolean;
  };
  placement: {
    place(
      anchor: Box | null,
      card: Size,
      view: Size,
      direction: "ltr" | "rtl",
    ): Point & { isAtPicture: boolean };
    visiblePart(anchor: Box | null, view: Size): Box | null;
  };
  cardStyle: { COMMON: string; CARD: string };
  cardView: {
    draw(card: HTMLElement, view: View): void;
    shape(kind: string): SVGElement;
    element<T extends keyof HTMLElementTagNameMap>(
      tag: T,
      name?: string,
      text?: string,
    ): HTMLElementTagNameMap[T];
  };
  card: {
    open(found: Found, how?: Opening): void;
    retry(): void;
    close(): void;
    isOpen(): boolean;
  };
  spatial: {
    next(boxes: Box[], current: number, direction: string): number;
    nearest(boxes: Box[], point: Point): number;
    under(boxes: Box[], point: Point): number;
  };
  picker: { start(): void; stop(): void; isOn(): boolean };
  marks: { start(): Promise<void>; stop(): void; retry(): void };
}

declare var antifake: Antifake;
/** Firefox's name for chrome. */
declare var browser: any;

interface MouseEvent {
  /** Of Firefox. */
  readonly mozInputSource?: number;
}
