"""Pages with a picture of every kind, and what the extension can know of each."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

from kit.pictures import picture, png, saved
from kit.sites import CDN, SITE, Answer, Sites, kind_of

FILE = "Original file"
LARGER = "Largest version on the page"
DRAWING = "Drawing on the page"
COPY = "decoded again, not the original file"
FRAME = "One frame of the video"
SCREEN = "Screen copy"
ASKS = "May antifake load pictures"
"""The person is asked for a permission, and may choose a copy of the screen instead."""

NO_CARD = "antifake may not load pictures from cdn.test yet"
"""The toolbar and the popup say so. There is no card."""

SIZE = 300


@dataclass(frozen=True)
class Scene:
    """Where a page with one picture is put."""

    sites: Sites
    path: str
    """Unique."""
    data: bytes
    """The picture that the person sees and means."""
    other: bytes
    """Another one, that must not be judged."""


def _still(seed: int) -> bytes:
    return png(seed, SIZE)


def _animated(kind: str) -> Callable[[int], bytes]:
    def make(seed: int) -> bytes:
        first, *rest = (picture(seed * 10 + number, SIZE) for number in range(3))
        return saved(first, kind, save_all=True, append_images=rest, duration=40, loop=0)

    return make


def _large(seed: int) -> bytes:
    """Returns a file of 20 MB."""
    return saved(picture(seed, 2600), "PNG", compress_level=0)


@dataclass(frozen=True)
class Case:
    name: str
    html: Callable[[Scene], str]
    """Returns the page; its picture has the id `it`, and its file is at `path` already."""
    allowed: str
    """What was judged where the extension may load from every site."""
    narrow: str
    """The same without that permission."""
    ready: str = "true"
    """A condition for when the picture is there."""
    make: Callable[[int], bytes] = _still
    """Returns the file of the picture."""
    target: str = "#it"
    frame: str | None = None
    """The frame that it is in."""


TRUE_BYTES = {FILE, LARGER}


def _img(address: str, more: str = "") -> str:
    return f'<img id=it src="{address}" width=200 height=200 {more}>'


def _same(scene: Scene) -> str:
    return _img(scene.path)


def _other_origin(scene: Scene) -> str:
    return _img(scene.sites.url(scene.path, CDN))


def _cookie(scene: Scene) -> str:
    scene.sites.private_picture(scene.path, scene.data)
    return f"""<img id=it width=200 height=200><script>
      document.cookie = "who=me";
      it.src = "{scene.path}";
    </script>"""


def _referrer(scene: Scene) -> str:
    scene.sites.linked_picture(scene.path, scene.data)
    return _img(scene.path)


def _referrer_elsewhere(scene: Scene) -> str:
    scene.sites.linked_picture(scene.path, scene.data)
    return _img(scene.sites.url(scene.path, CDN))


def _once(scene: Scene) -> str:
    scene.sites.picture_once(scene.path, scene.data)
    return _img(scene.path)


def _once_elsewhere(scene: Scene) -> str:
    scene.sites.picture_once(scene.path, scene.data)
    return _img(scene.sites.url(scene.path, CDN))


def _data(scene: Scene) -> str:
    return _img(data_url(scene.data))


def _blob(scene: Scene) -> str:
    text = base64.b64encode(scene.data).decode()
    return f"""<img id=it width=200 height=200><script>
      const bytes = Uint8Array.from(atob("{text}"), (one) => one.charCodeAt(0));
      it.src = URL.createObjectURL(new Blob([bytes], {{type: "image/png"}}));
    </script>"""


def _srcset(scene: Scene) -> str:
    scene.sites.picture(scene.path, scene.other)
    scene.sites.picture(scene.path + ".large", scene.data)
    return _img(scene.path, f'srcset="{scene.path} 1x, {scene.path}.large 3x"')


def _picture(scene: Scene) -> str:
    scene.sites.picture(scene.path, scene.other)
    scene.sites.picture(scene.path + ".large", scene.data)
    large = f'<source srcset="{scene.path}.large" media="(min-width: 100px)">'
    return f"<picture>{large}{_img(scene.path)}</picture>"


def _lazy(scene: Scene) -> str:
    return f"<div style='height: 9000px'></div>{_img(scene.path, 'loading=lazy')}"


def _background(scene: Scene) -> str:
    style = f"width: 200px; height: 200px; background: url({scene.path}) center / cover"
    return f'<div id=it style="{style}"></div>'


def _canvas(scene: Scene) -> str:
    return _drawn(scene.path)


def _tainted_canvas(scene: Scene) -> str:
    return _drawn(scene.sites.url(scene.path, CDN))


def _drawn(address: str) -> str:
    return f"""<canvas id=it width={SIZE} height={SIZE}></canvas><script>
      const from = new Image();
      from.onload = () => {{ it.getContext("2d").drawImage(from, 0, 0); window.isDrawn = true; }};
      from.src = "{address}";
    </script>"""


def _covered(scene: Scene) -> str:
    under = f'<img src="{scene.path}" width=200 height=200>'
    cover = "position: absolute; inset: 0; background: rgb(0 0 0 / 1%)"
    box = "position: relative; width: 200px; height: 200px"
    return f'<div style="{box}">{under}<div id=it style="{cover}"></div></div>'


def _shadow(scene: Scene) -> str:
    return f"""<div id=host></div><script>
      host.attachShadow({{mode: "open"}}).innerHTML = '{_img(scene.path)}';
    </script>"""


def _svg(scene: Scene) -> str:
    image = f'<image id=it href="{scene.path}" width="200" height="200"/>'
    return f'<svg width="200" height="200">{image}</svg>'


def _poster(scene: Scene) -> str:
    return f'<video id=it poster="{scene.path}" width=200 height=200></video>'


def _video(scene: Scene) -> str:
    return _recorded(
        scene,
        """
          it.src = URL.createObjectURL(data);
          it.ontimeupdate = () => it.currentTime > 0 && it.pause();
          await it.play();
        """,
    )


def _seeking(scene: Scene) -> str:
    """A video that shows its last frame while it waits for a moment that never arrives."""
    return _recorded(
        scene,
        """
          const source = new MediaSource();
          it.src = URL.createObjectURL(source);
          await new Promise((done) => { source.onsourceopen = done; });
          const buffer = source.addSourceBuffer(mimeType);
          buffer.appendBuffer(await data.arrayBuffer());
          await new Promise((done) => { buffer.onupdateend = done; });
          source.duration = 100;
          it.ontimeupdate = () => {
            if (it.currentTime > 0 && !it.paused) {
              it.pause();
              it.currentTime = 50;
            }
          };
          await it.play();
        """,
    )


def _recorded(scene: Scene, show: str) -> str:
    """Records a video of the picture. `show` has it as `data`, a blob, and shows it in `it`."""
    return f"""<video id=it muted width=200 height=200></video><script>
      const from = new Image();
      from.onload = () => {{
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = {SIZE};
        const context = canvas.getContext("2d");
        const timer = setInterval(() => context.drawImage(from, 0, 0), 20);
        const mimeType = "video/webm;codecs=vp8";
        const recorder = new MediaRecorder(canvas.captureStream(25), {{mimeType}});
        recorder.ondataavailable = async ({{data}}) => {{
          clearInterval(timer);
          {show}
        }};
        recorder.start();
        setTimeout(() => recorder.stop(), 600);
      }};
      from.src = "{scene.path}";
    </script>"""


def _input(scene: Scene) -> str:
    return f'<input id=it type=image src="{scene.path}" width=200 height=200>'


def _policy(scene: Scene) -> str:
    scene.sites.put(
        scene.path + ".page",
        Answer(
            f"<!doctype html>{_img(scene.path)}".encode(),
            headers={
                "Content-Security-Policy": (
                    "default-src 'none'; img-src 'self'; require-trusted-types-for 'script'"
                )
            },
        ),
    )
    return ""


def _tab(scene: Scene) -> str:
    scene.sites.picture(scene.path + ".page", scene.data)
    return ""


def _frame(host: str) -> Callable[[Scene], str]:
    def page(scene: Scene) -> str:
        scene.sites.page(scene.path + ".inner", _img(scene.path))
        inner = scene.sites.url(scene.path + ".inner", host)
        return f'<iframe src="{inner}" width=600 height=500></iframe>'

    return page


LOADED = "it.complete && it.naturalWidth > 0"
DRAWN = "window.isDrawn"
PAUSED = "it.readyState > 1 && it.paused && it.currentTime > 0"
SEEKING = "it.seeking && it.readyState === 1 && it.paused"
SCROLLED = "(it.scrollIntoView(), it.complete && it.naturalWidth > 0)"

CASES = [
    Case("a picture of the site", _same, FILE, FILE, LOADED),
    Case("a picture of another site", _other_origin, FILE, ASKS, LOADED),
    Case("a picture for those with a cookie", _cookie, FILE, FILE, LOADED),
    Case("a picture that needs the page as its referrer", _referrer, FILE, FILE, LOADED),
    # Chromium takes no rule about the referrer while it runs on after the permission was granted.
    Case("the same on another site", _referrer_elsewhere, SCREEN, ASKS, LOADED),
    Case("a picture that is given out once", _once, COPY, COPY, LOADED),
    Case("the same by another site", _once_elsewhere, SCREEN, ASKS, LOADED),
    Case("a data: address", _data, FILE, FILE, LOADED),
    Case("a blob: address", _blob, FILE, FILE, LOADED),
    Case("a srcset with a larger version", _srcset, LARGER, LARGER, LOADED),
    Case("a picture element", _picture, FILE, FILE, LOADED),
    Case("a lazy picture far below", _lazy, FILE, FILE, SCROLLED),
    Case("a background of CSS", _background, FILE, FILE),
    Case("a drawing", _canvas, DRAWING, DRAWING, DRAWN),
    Case("a drawing that may not be read", _tainted_canvas, SCREEN, SCREEN, DRAWN),
    Case("a picture under a transparent cover", _covered, FILE, FILE),
    Case("a picture in an open shadow root", _shadow, FILE, FILE),
    Case("a picture inside SVG", _svg, FILE, FILE),
    Case("the preview of a video", _poster, FILE, FILE),
    Case("a video in its middle", _video, FRAME, FRAME, PAUSED),
    Case("a video that seeks", _seeking, FRAME, FRAME, SEEKING),
    Case("a button with a picture", _input, FILE, FILE),
    Case("a page with a strict policy", _policy, FILE, FILE, LOADED),
    Case("an animated GIF", _same, FILE, FILE, LOADED, _animated("GIF")),
    Case("an animated WebP", _same, FILE, FILE, LOADED, _animated("WEBP")),
    Case("a file of 20 MB", _same, FILE, FILE, LOADED, _large),
    Case("a tab of its own", _tab, FILE, FILE, "document.images[0].complete", target="img"),
    Case("a frame of the site", _frame(SITE), FILE, FILE, LOADED, frame="iframe"),
    Case("a frame of another site", _frame(CDN), FILE, NO_CARD, LOADED, frame="iframe"),
]


def data_url(data: bytes) -> str:
    return f"data:{kind_of(data)};base64,{base64.b64encode(data).decode()}"


def scene_of(sites: Sites, seed: int, case: Case) -> Scene:
    return Scene(sites, f"/p{seed}.png", case.make(seed), png(seed + 500_000, SIZE // 2))


def address_of(scene: Scene, case: Case) -> str:
    """Puts the page of a case, and the picture, which some cases put in another way. Returns the
    page's address.
    """
    scene.sites.picture(scene.path, scene.data)
    html = case.html(scene)
    path = scene.path + ".page"
    return scene.sites.page(path, html) if html else scene.sites.url(path)
