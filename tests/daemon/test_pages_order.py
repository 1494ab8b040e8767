"""The history in order: counts, sorting, lists to choose from, near-copies together."""

import re

import pytest
from kit.axe import axe
from kit.page_desk import desk_at, shoot
from kit.pages import ago, scene
from playwright.sync_api import expect

SENDER = {"X-Requested-By": "antifake"}
NEAR = 0x5A5A_1234_9ABC_0F0F


@pytest.fixture
def desk(here, served, chromium):
    with desk_at(here, served, chromium) as made:
        yield made


def names(page):
    return re.findall(r'<a class="name"[^>]*title="([^"]+)"', page)


def times(page):
    return re.findall(r"<time [^>]*>([^<]+)</time>", page)


def headings(page):
    return re.findall(r'<h2 id="day-[^"]+">([^<]+)</h2>', page)


def pills(me, address="/"):
    return re.findall(r'<span class="n">([\d,]+)</span>', me.get(address).text)


def fill(here):
    for number, (label, p_fake) in enumerate(
        [("fake", 0.97), ("real", 0.30), ("unsure", 0.51), ("fake", 0.72), ("real", 0.01)]
    ):
        at = ago(hours=number)
        here.add(f"{number}.jpg", label=label, p_fake=p_fake, at=at, thumb=scene(number))
    here.add_failed("broken.jpg", "It ends in the middle.")


def test_each_pill_says_how_many_it_stands_for_within_the_other_filters(here, me):
    fill(here)
    here.add("other.png", label="fake", source="extension")
    assert pills(me) == ["7", "3", "1", "2", "1"]
    assert pills(me, "/?verdict=real") == ["7", "3", "1", "2", "1"]
    assert "2 pictures" in me.get("/?verdict=real").text
    assert pills(me, "/?source=extension") == ["1", "1", "0", "0", "0"]
    assert pills(me, "/?q=.jpg&verdict=fake") == ["6", "2", "1", "2", "1"]


def test_the_oldest_come_first_if_wanted_page_by_page(here, me):
    for number in range(60):
        here.add(f"{number:02}.jpg", at=ago(minutes=number))
    first = me.get("/?sort=oldest").text
    assert names(first) == [f"{number:02}.jpg" for number in range(59, 9, -1)]
    following = re.search(r'rel="next" href="([^"]+)"', first)[1].replace("&amp;", "&")
    assert names(me.get(following).text) == [f"{number:02}.jpg" for number in range(9, -1, -1)]


def test_the_surest_and_the_least_sure_come_first_if_wanted(here, me):
    fill(here)
    assert names(me.get("/?sort=surest").text) == [
        "4.jpg",
        "0.jpg",
        "3.jpg",
        "1.jpg",
        "2.jpg",
        "broken.jpg",
    ]
    page = me.get("/?sort=unsure&verdict=fake").text
    assert names(page) == ["3.jpg", "0.jpg"]
    assert ">Least sure first</h2>" in page
    assert "2026-11-22" in page


def test_an_order_that_is_none_is_refused(me):
    answer = me.get("/?sort=prettiest")
    assert answer.status_code == 400
    assert "sort can be newest, oldest" in answer.text


def test_folders_and_models_are_chosen_from_lists(here, me):
    here.add("a.jpg", model="mini@1")
    here.add("b.jpg", model="large@2")
    here.add(None, path="/home/me/Odd \u202e/c.jpg", model="mini@1")
    here.add(None, path="/home/me/caf\udce9/d.jpg")
    page = me.get("/").text
    assert '<option value="/home/me/Pictures">' in page
    assert "Odd \ufffd</option>" in page
    assert "caf" not in page.split("<main")[1].split('id="rows"')[0], "it fits into no address"
    assert re.findall(r'<option value="([^"]+@\d)"', page) == ["large@2", "mini@1"]
    assert names(me.get("/?model=large@2").text) == ["b.jpg"]
    chosen = me.get("/?folder=/home/me/elsewhere").text
    assert '<option value="/home/me/elsewhere" selected>' in chosen


def test_a_filter_is_saved_used_and_deleted(here, desk):
    fill(here)
    page = desk.open("/?verdict=fake&sort=oldest")
    page.get_by_text("Save this filter").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#filter-error")).to_have_text("Give it a name of at most 60 letters.")
    page.get_by_label("Name of the filter").fill("Fakes <b>of</b> \u202e mine")
    page.get_by_label("Name of the filter").press("Enter")
    link = page.get_by_role("link", name="Fakes <b>of</b> \ufffd mine")
    expect(link).to_have_attribute("aria-current", "true")
    expect(page.get_by_text("Save this filter")).to_have_count(0)
    desk.open("/")
    link.click()
    expect(page.locator(".row")).to_have_count(2)
    expect(page).to_have_url(f"{desk.url}/?verdict=fake&sort=oldest")
    page.get_by_role("button", name="Delete the saved filter").click()
    expect(link).to_have_count(0)
    assert here.service.saved_filters() == {}


def test_what_is_no_filter_is_not_saved(here, me):
    def save(query, name="a"):
        body = {"name": name, "query": query}
        return me.post("/changes/filters/save", json=body, headers=SENDER)

    for query in ("", "nonsense=1", "verdict=maybe", "since=never", "sort=prettiest"):
        assert save(query).status_code == 400, query
    for number in range(50):
        assert save("q=a", str(number)).status_code == 200
    assert "At most 50 filters" in save("q=a", "one more").json["error"]
    assert save("q=b", "7").status_code == 200, "one of that name is replaced"
    assert here.service.saved_filters()["7"] == "q=b"


def test_near_copies_are_together_and_opened_by_a_click(here, desk):
    here.add("beach.jpg", phash=NEAR, thumb=scene(1))
    here.add("cat.jpg", phash=~NEAR & (2**64 - 1), at=ago(minutes=1), thumb=scene(2))
    here.add("beach-small.jpg", phash=NEAR ^ 0b101, at=ago(minutes=2), thumb=scene(1))
    here.add("beach-again.jpg", phash=NEAR ^ 0b1, at=ago(minutes=3), thumb=scene(1))
    here.add("beach-yesterday.jpg", phash=NEAR, at=ago(days=1), thumb=scene(1))
    page = desk.open()
    assert names(page.content()) == [
        "beach.jpg",
        "beach-small.jpg",
        "beach-again.jpg",
        "beach-yesterday.jpg",
        "cat.jpg",
    ]
    expect(desk.row("beach-small.jpg")).to_be_hidden()
    desk.keys("j j")
    expect(desk.row("cat.jpg").locator("a.name")).to_be_focused()
    page.get_by_label("Select all on this page").check()
    expect(page.locator("#picked")).to_have_text("2 selected")
    desk.keys("Escape")
    page.get_by_text("3 near-copies").click()
    expect(desk.row("beach-again.jpg")).to_be_visible()
    desk.keys("k k k")
    desk.keys("j j")
    expect(desk.row("beach-again.jpg").locator("a.name")).to_be_focused()


def test_near_copies_of_other_days_are_with_the_first_in_the_list_and_dated(here, me):
    here.add("beach.jpg", phash=NEAR)
    here.add("cat.jpg", phash=~NEAR & (2**64 - 1), at=ago(days=1))
    here.add("beach-before.jpg", phash=NEAR ^ 1, at=ago(days=2))
    page = me.get("/").text
    assert names(page) == ["beach.jpg", "beach-before.jpg", "cat.jpg"]
    assert times(page) == ["12:00", "2026-11-20 12:00", "12:00"]
    assert headings(page) == ["Today", "Yesterday"]
    page = me.get("/?sort=oldest").text
    assert names(page) == ["beach-before.jpg", "beach.jpg", "cat.jpg"]
    assert times(page) == ["12:00", "2026-11-22 12:00", "12:00"]


def following(page):
    return re.search(r'rel="next" href="([^"]+)"', page)[1].replace("&amp;", "&")


def test_near_copies_of_later_pages_are_with_the_first_and_nowhere_else(here, me):
    here.add("beach.jpg", phash=NEAR)
    for number in range(70):
        here.add(f"{number:02}.jpg", at=ago(minutes=number + 1))
    here.add("beach-before.jpg", phash=NEAR ^ 1, at=ago(days=9))
    first = me.get("/").text
    assert names(first) == ["beach.jpg", "beach-before.jpg", *(f"{n:02}.jpg" for n in range(49))]
    assert "1 near-copy" in first
    assert "72 pictures" in first
    assert names(me.get(following(first)).text) == [f"{n:02}.jpg" for n in range(49, 70)]
    assert names(me.get("/?q=before").text) == ["beach-before.jpg"]


def test_of_many_near_copies_all_are_a_click_away(here, me):
    made = [here.add(f"{n:02}.jpg", phash=NEAR, at=ago(minutes=n)) for n in range(60)]
    here.add("cat.jpg", phash=~NEAR & (2**64 - 1), at=ago(days=1))
    page = me.get("/").text
    assert "59 near-copies" in page
    assert names(page) == [*(f"{n:02}.jpg" for n in range(13)), "cat.jpg"]
    link = re.search(r'<a href="([^"]+)">Show all near-copies</a>', page)[1]
    assert link == f"/?near={made[0].id}"
    every = me.get(link).text
    assert names(every) == [f"{n:02}.jpg" for n in range(50)]
    assert "Near-copies of one picture" in every
    assert "near-copies<" not in every
    assert names(me.get(following(every)).text) == [f"{n:02}.jpg" for n in range(50, 60)]
    assert me.get("/?near=nonsense").status_code == 404


def test_when_one_of_many_near_copies_goes_their_number_is_right(here, desk):
    for number in range(20):
        here.add(f"{number:02}.jpg", phash=NEAR, at=ago(minutes=number))
    page = desk.open()
    page.get_by_text("19 near-copies").click()
    desk.row("05.jpg").locator(".pick input").check()
    page.locator("#forget-picked").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget").click()
    expect(page.get_by_text("18 near-copies")).to_be_visible()
    expect(desk.row("05.jpg")).to_have_count(0)
    shoot(page, "near-many")


def test_when_the_first_of_many_near_copies_goes_the_others_are_still_found(here, desk):
    for number in range(20):
        here.add(f"{number:02}.jpg", phash=NEAR, at=ago(minutes=number))
    page = desk.open()
    desk.row("00.jpg").locator(".pick input").check()
    page.locator("#forget-picked").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget").click()
    page.get_by_text("18 near-copies").click()
    page.get_by_role("link", name="Show all near-copies").click()
    expect(page.locator("#how-many")).to_have_text("19 pictures")
    assert names(page.content()) == [f"{number:02}.jpg" for number in range(1, 20)]
    desk.page.emulate_media(color_scheme="dark")
    shoot(page, "near-all-dark")


@pytest.mark.parametrize("width", [1180, 640, 390])
def test_in_the_grid_the_sign_of_near_copies_lies_on_their_picture(here, desk, width):
    for number in range(3):
        at = ago(minutes=number)
        here.add(f"beach-{number}.jpg", phash=NEAR ^ number, at=at, thumb=scene(9, 400, 300))
    here.add("cat.jpg", at=ago(hours=1), thumb=scene(2, 60, 300))
    desk.page.set_viewport_size({"width": width, "height": 860})
    sign = desk.open().get_by_text("2 near-copies").bounding_box()
    of_it = desk.row("beach-0.jpg").locator(".thumb").bounding_box()
    box = desk.row("beach-0.jpg").locator(".pick").bounding_box()
    assert of_it["x"] <= sign["x"]
    assert sign["x"] + sign["width"] <= of_it["x"] + of_it["width"]
    assert box["y"] + box["height"] < sign["y"]
    assert sign["y"] + sign["height"] <= of_it["y"] + of_it["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["grid", "list"])
def test_groups_counts_and_lists_keep_to_the_rules_and_fit(here, desk, view, scheme):
    fill(here)
    for number in range(4):
        at = ago(minutes=number)
        here.add(f"beach-{number}.jpg", phash=NEAR ^ number, at=at, thumb=scene(9, 400, 300))
    desk.page.emulate_media(color_scheme=scheme)
    here.service.save_filter("Fakes of November", "verdict=fake")
    desk.open(f"/?view={view}")
    page = desk.open("/?source=watch&sort=oldest")
    page.get_by_text("Save this filter").click()
    page.get_by_text("3 near-copies").click()
    for wide, high in ((1180, 860), (590, 430), (390, 844)):
        page.set_viewport_size({"width": wide, "height": high})
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= wide
        shoot(page, f"order-{view}-{scheme}-{wide}")
