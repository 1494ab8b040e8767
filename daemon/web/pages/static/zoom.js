// The picture in its stage: fitted at first, then as large as wanted, moved by dragging or scrolling.

const STEP = 1.25;
const LARGEST = 16;
const GROWN = 2; // so far a picture that is only a small copy is enlarged to fit

/** Starts zooming in the figure on this page, if there is a picture. Returns the actions of keys. */
export function start(figure = document.querySelector("figure.view")) {
  const img = figure?.querySelector(".canvas img");
  if (!img) return {};
  const stage = figure.querySelector(".stage");
  const isOriginal = figure.dataset.kind === "original";
  let scale = null; // null: fitted

  const fitted = () => {
    const room = Math.min(stage.clientWidth / img.naturalWidth, stage.clientHeight / img.naturalHeight);
    return Math.min(room, isOriginal ? 1 : GROWN);
  };
  const now = () => scale ?? fitted();

  function show() {
    if (!img.naturalWidth) return;
    img.style.width = `${img.naturalWidth * now()}px`;
    figure.classList.toggle("zoomed", scale !== null && scale > fitted());
    figure.querySelector(".scale").textContent = `${Math.round(100 * now())} %`;
  }

  /** Zooms, and keeps the point (x, y) of the window where it is. */
  function zoom(to, x, y) {
    const box = stage.getBoundingClientRect();
    const at = img.getBoundingClientRect();
    const [px, py] = [x ?? box.left + box.width / 2, y ?? box.top + box.height / 2];
    const [fx, fy] = [(px - at.left) / at.width, (py - at.top) / at.height];
    const least = Math.min(fitted(), 1);
    scale = to === null ? null : Math.min(Math.max(to, least), LARGEST);
    show();
    const moved = img.getBoundingClientRect();
    stage.scrollLeft += moved.left + fx * moved.width - px;
    stage.scrollTop += moved.top + fy * moved.height - py;
  }

  const acts = {
    in: () => zoom(now() * STEP),
    out: () => zoom(now() / STEP),
    fit: () => zoom(null),
    full: () => zoom(1),
  };
  figure.addEventListener("click", ({ target }) => acts[target.closest("[data-zoom]")?.dataset.zoom]?.());
  stage.addEventListener("dblclick", (event) => {
    zoom(scale === null ? Math.max(1, 2 * fitted()) : null, event.clientX, event.clientY);
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoom(now() * STEP ** Math.sign(-event.deltaY), event.clientX, event.clientY);
    },
    { passive: false },
  );
  drag(stage);
  img.addEventListener("load", show);
  new ResizeObserver(show).observe(stage);
  show();
  return { "+": acts.in, "=": acts.in, "-": acts.out, 0: acts.fit, 1: acts.full };
}

function drag(stage) {
  let from = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button || event.pointerType === "touch") return;
    from = [event.clientX + stage.scrollLeft, event.clientY + stage.scrollTop];
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (from) stage.scrollTo(from[0] - event.clientX, from[1] - event.clientY);
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (from = null));
  stage.addEventListener("dragstart", (event) => event.preventDefault());
}
