"""What people correct is never lost and never in the wrong place: a real browser, a real server, and real faults."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys

from annotate.real import Fault, Line, Real, Recogniser, make, models
from annotate.working import SPY, Desk
from corpus.fakes import FakeCodec
from rosella.shards.read import Export
from serve import browsing

pytestmark = pytest.mark.browser

YES = "ja dat is goed"
PASSWORD = "drie paarden lopen"
EVIL = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Real]:
    """A server for each test, at an address of its own: the browser has kept nothing of it."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    make(tmp_path, url)
    real = Real(tmp_path / "corpus", url)
    yield real
    real.stop()


@pytest.fixture(scope="module")
def driver(downloads: Path) -> Iterator[Chrome]:
    chrome = browsing.chromium(downloads)
    chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SPY})
    yield chrome
    chrome.quit()


@pytest.fixture
def line(real: Real) -> Line:
    return real.line()


@pytest.fixture
def windows(driver: Chrome) -> Iterator[Callable[[], None]]:
    """Opens another window; those that are still there in the end are closed, and so is what the page does wrong."""
    first = driver.current_window_handle

    def another() -> None:
        driver.switch_to.new_window("window")
        for script in (browsing.SPY, SPY):
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})

    yield another
    for handle in driver.window_handles:
        driver.switch_to.window(handle)
        if handle != first:
            driver.close()
    driver.switch_to.window(first)


class Annotator(Desk):
    """Somebody at the page of a real server, in a window of his own."""

    def __init__(
        self, driver: Chrome, line: Line, downloads: Path, host: str = "127.0.0.1", way: str = ""
    ) -> None:
        sign = "#join[open]" if "invitation" in way else "#turns li"
        super().__init__(driver, way or f"http://{host}:{line.port}/", downloads, sign)
        self.window = driver.current_window_handle

    @property
    def clip(self) -> str:
        """Which one is open."""
        return self.run("return decodeURIComponent(location.hash.match(/#clip.(.+)/)?.[1] ?? '')")

    def next(self, chord: str = "Ctrl+Enter") -> str:
        """The clip that follows what was open."""
        before = self.clip
        self.press_keys(chord)
        self.until(lambda: self.clip not in ("", before))
        return self.clip

    def look(self) -> Annotator:
        """Turn to this window."""
        self.driver.switch_to.window(self.window)
        return self

    def right(self) -> None:
        """Nothing went wrong in the page, and nothing ran that its policy forbids."""
        assert self.run("return [violations, mistakes]") == [[], []]


@pytest.fixture
def desk(real: Real, line: Line, driver: Chrome, downloads: Path, windows: object) -> Iterator[Annotator]:
    """The page of the single user."""
    real.start()
    desk = Annotator(driver, line, downloads)
    yield desk
    desk.right()
    browsing.leave(driver)


# The network


@pytest.mark.parametrize("fault", ["lose request", "lose answer"])
def test_a_save_that_the_network_lost_is_made_once_when_it_is_back(
    real: Real, line: Line, desk: Annotator, fault: Fault
) -> None:
    clip = desk.clip
    line.fault = fault
    desk.rewrite(0, "wij gaan naar huis")
    desk.press_keys("Ctrl+S")
    desk.says("1 correction not sent, kept in this browser", "#saved")
    desk.says("next try in", "#retry")
    assert len(real.rows()) == (fault == "lose answer")
    line.up = True
    desk.says("Saved", "#saved")
    assert real.saved(clip) == [["wij gaan naar huis", YES]] and len(real.rows()) == 1
    assert real.utterances(clip) == [f"[S1] wij gaan naar huis [S2] {YES}"]
    assert len(line.keys) >= 2 and len(set(line.keys)) == 1, "a save keeps its key"
    desk.rewrite(1, "nee")
    desk.press_keys("Ctrl+S")
    desk.until(lambda: real.saved(clip)[1:] == [["wij gaan naar huis", "nee"]])


@pytest.mark.parametrize("fault", ["hold request", "hold answer"])
def test_a_save_that_comes_to_no_end_is_given_up_and_made_once(
    real: Real, line: Line, desk: Annotator, fault: Fault
) -> None:
    desk.run(
        "const of = AbortSignal.timeout; AbortSignal.timeout = (wait) => of.call(AbortSignal, wait / 10)"
    )
    line.fault = fault
    desk.rewrite(0, "wij gaan naar huis")
    desk.press_keys("Ctrl+S")
    desk.says("Saving", "#saved")
    desk.says("Saved", "#saved")
    assert real.saved(desk.clip) == [["wij gaan naar huis", YES]]
    assert len(line.keys) == 2 and len(set(line.keys)) == 1


def test_clips_that_were_corrected_offline_arrive_in_their_order(
    real: Real, line: Line, desk: Annotator
) -> None:
    first, second = desk.clip, desk.next("Alt+Enter")
    third = desk.next("Alt+Enter")
    line.cut()
    desk.rewrite(0, "drie")
    desk.press_keys("Ctrl+S")
    for back, text in ((second, "twee"), (first, "een")):
        desk.press_keys("Alt+Backspace")
        desk.until(lambda back=back: desk.clip == back)
        desk.rewrite(0, text)
        desk.press_keys("Ctrl+S")
    desk.rewrite(1, "en nog iets")
    desk.press_keys("Ctrl+S")
    desk.says("4 corrections not sent, kept in this browser", "#saved")
    assert real.rows() == []
    line.up = True
    desk.says("Saved", "#saved")
    assert [(row.clip, row.version) for row in real.rows()] == [
        (third, 1),
        (second, 1),
        (first, 1),
        (first, 2),
    ]
    assert real.saved() == [["drie", YES], ["twee", YES], ["een", YES], ["een", "en nog iets"]]


# The tab


def test_a_tab_that_is_closed_keeps_what_was_typed_and_sends_it_once(
    real: Real, line: Line, desk: Annotator, windows: Callable[[], None], downloads: Path
) -> None:
    windows()
    tab = Annotator(desk.driver, line, downloads)
    clip = tab.clip
    tab.rewrite(0, "wij gaan naar hu")
    tab.driver.close()
    desk.look().open()
    desk.says("Your unsaved edits of this clip are here again")
    assert (desk.clip, desk.written) == (clip, ["wij gaan naar hu", YES]) and real.rows() == []
    desk.box(0).click()
    desk.to_end()
    desk.keys("is")
    desk.press_keys("Ctrl+S")
    desk.until(lambda: real.saved(clip) == [["wij gaan naar huis", YES]])


@pytest.mark.parametrize("fault", ["hold request", "hold answer"])
def test_a_tab_that_is_closed_while_it_saves_has_saved_once(
    real: Real, line: Line, desk: Annotator, windows: Callable[[], None], downloads: Path, fault: Fault
) -> None:
    windows()
    tab = Annotator(desk.driver, line, downloads)
    clip = tab.clip
    line.fault = fault
    tab.rewrite(0, "wij gaan naar huis")
    tab.press_keys("Ctrl+S")
    tab.until(lambda: line.keys and line.fault is None)
    tab.until(lambda: len(real.rows()) == (fault == "hold answer"))
    tab.driver.close()
    desk.look().open()
    desk.until(lambda: len(line.keys) == 2)
    desk.says("Saved", "#saved")
    assert real.saved() == [["wij gaan naar huis", YES]] and len(set(line.keys)) == 1
    desk.address += f"#clip/{clip}"
    desk.open()
    assert desk.written == ["wij gaan naar huis", YES]


# The server


@pytest.mark.parametrize("point", ["before", "in-commit@correct", "after-commit@correct"])
def test_a_server_that_is_killed_around_a_commit_has_each_save_once(
    real: Real, line: Line, driver: Chrome, downloads: Path, windows: object, point: str
) -> None:
    real.start(**({} if point == "before" else {"ROSELLA_FAILPOINT": point}))
    desk = Annotator(driver, line, downloads)
    clip = desk.clip
    if point == "before":
        line.fault, line.meanwhile = "lose request", real.kill
    desk.rewrite(0, "wij gaan naar huis")
    following = desk.next()
    assert real.died()
    line.up = True
    desk.says("1 correction not sent, kept in this browser", "#saved")
    assert len(real.rows()) == (point == "after-commit@correct")
    desk.rewrite(0, "en dit is de volgende")
    desk.press_keys("Ctrl+S")
    real.start()
    desk.says("Saved", "#saved")
    assert [(row.clip, row.action) for row in real.rows()] == [(clip, "accept"), (following, "edit")]
    assert real.saved() == [["wij gaan naar huis", YES], ["en dit is de volgende", YES]]
    assert real.utterances(clip) == [f"[S1] wij gaan naar huis [S2] {YES}"]
    desk.right()


def test_a_save_that_is_sent_again_and_again_is_made_once(real: Real, line: Line, desk: Annotator) -> None:
    clip = desk.clip
    desk.rewrite(0, "wij gaan naar huis")
    sent = """
        const ask = fetch;
        fetch = (path, options) => {
            if (options?.method !== "PUT") return ask(path, options);
            const all = Array.from({ length: 8 }, () => ask(path, options));
            Promise.all(all.map(async (each) => [(await each).status, (await (await each).clone().json()).version]))
                .then((answers) => { window.answers = answers; });
            return all[5];
        };
    """
    desk.run(sent)
    desk.press_keys("Ctrl+S")
    assert desk.until(lambda: desk.run("return window.answers")) == [[200, 1]] * 8
    assert real.saved(clip) == [["wij gaan naar huis", YES]] and len(set(line.keys)) == 1
    desk.says("Saved", "#saved")


# Exports and recognisers


def test_exports_while_people_save_have_one_version_of_a_clip_and_the_last_has_the_last(
    real: Real, desk: Annotator
) -> None:
    clip, told, stopped = desk.clip, [], threading.Event()

    def export() -> str:
        with real.opened() as corpus:
            corpus.export()
            (row,) = (row for row in Export.open(corpus.directory).index().to_pylist() if row["id"] == clip)
            return row["text"]

    def exports() -> None:
        while not stopped.is_set():
            told.append(export())

    thread = threading.Thread(target=exports)
    thread.start()
    for number in range(8):
        desk.rewrite(0, f"versie {number}")
        desk.rewrite(1, f"versie {number}")
        desk.press_keys("Ctrl+S")
    desk.until(lambda: len(real.rows()) == 8)
    stopped.set()
    thread.join()
    versions = [f"[S1] versie {number} [S2] versie {number}" for number in range(8)]
    known = [f"[S1] wij gaan naar hui een [S2] {YES}", *versions]
    places = [known.index(text) for text in told]
    assert places == sorted(places) and len(set(places)) > 2
    assert export() == versions[-1]


def test_a_better_recogniser_writes_over_nothing_of_a_person(real: Real, desk: Annotator) -> None:
    accepted = desk.clip
    desk.rewrite(0, "wij gaan naar huis")
    half = desk.next()
    desk.until(lambda: len(real.rows()) == 1)
    desk.rewrite(0, "half gesch")
    before = {clip: real.utterances(clip) for clip in clips(real)}
    with real.opened() as corpus:
        codec, better = FakeCodec(), Recogniser("beter", "better")
        assert corpus.run(models(better, codec)).failed == []
    assert len(better.asked) == 5 and codec.encoded == [], "texts alone are new"
    for clip, said in before.items():
        assert real.utterances(clip) == (said if clip == accepted else [said[0].replace("goed", "beter")])
    desk.box(0).click()
    desk.to_end()
    desk.keys("reven")
    desk.press_keys("Ctrl+S")
    desk.until(lambda: real.saved(half))
    assert real.saved(half) == [["half geschreven", YES]], "what was seen is what is kept"
    with real.opened() as corpus:
        corpus.run(models(Recogniser("best", "best")))
    assert real.utterances(half) == [f"[S1] half geschreven [S2] {YES}"]
    assert real.utterances(accepted) == before[accepted][:1]


def clips(real: Real) -> list[str]:
    with real.opened() as corpus:
        recordings = [recording.id for recording in corpus.catalogue.done("scan", "")]
        return [each.id for recording in recordings for each in corpus.catalogue.utterances(recording)]


def test_a_moved_edge_makes_no_codes_but_its_own(real: Real, desk: Annotator) -> None:
    with real.opened() as corpus:
        corpus.export()
        before = codes(real)
    clip = desk.clip
    for _ in range(4):
        desk.press_keys("Alt+J")  # the first turn begins earlier, and so does the clip
    desk.press_keys("Ctrl+S")
    desk.until(lambda: real.saved(clip))
    codec, again = FakeCodec(), Recogniser()
    with real.opened() as corpus:
        assert corpus.run(models(again, codec)).failed == []
        corpus.export()
    assert len(codec.encoded) == 1 and again.asked == []
    after = codes(real)
    assert len(before) == len(after) == 6 and len(before.keys() - after.keys()) == 1
    assert all(after[clip] == values for clip, values in before.items() if clip in after)


def codes(real: Real) -> dict[str, bytes]:
    """Of each utterance of the last export."""
    export = Export.open(real.directory)
    names = export.index().column("id").to_pylist()
    return {name: export.codes(number).tobytes() for number, name in enumerate(names)}


# People


def joined(real: Real, line: Line, driver: Chrome, downloads: Path, name: str, host: str) -> Annotator:
    """Somebody who came by an invitation; each has a host of his own, for which the browser keeps what is his."""
    desk = Annotator(driver, line, downloads, way=real.invite("annotator", line, host))
    desk.find("#join [name=name]").send_keys(name)
    desk.find("#join [name=password]").send_keys(PASSWORD, Keys.ENTER)
    desk.until(lambda: desk.all("#turns li"))
    desk.address, desk.sign = f"http://{host}:{line.port}/", "#turns li"
    return desk


@pytest.fixture
def two(
    real: Real, driver: Chrome, downloads: Path, windows: Callable[[], None]
) -> Iterator[tuple[Annotator, Annotator]]:
    """Anna and Ben, with the same clip before them."""
    line, other = real.line(), real.line()
    real.invite("owner", line)
    real.start()
    ben = joined(real, other, driver, downloads, "Ben", "localhost")
    windows()
    anna = joined(real, line, driver, downloads, "Anna", "127.0.0.1")
    ben.look()
    ben.address += f"#clip/{anna.look().clip}"
    ben.look().open()
    ben.says("Anna has this clip open", "#others")
    yield anna, ben
    for each in (anna, ben):
        each.look().right()


def test_of_two_on_a_clip_the_second_sees_what_the_first_saves(
    real: Real, two: tuple[Annotator, Annotator]
) -> None:
    anna, ben = two
    clip = ben.look().clip
    ben.run(
        "new MutationObserver(() => { window.seen ??= document.querySelector('#notices').textContent && Date.now(); })"
        ".observe(document.querySelector('#notices'), { childList: true, subtree: true })"
    )
    anna.look().rewrite(0, "van Anna")
    anna.press_keys("Ctrl+S")
    anna.says("Saved", "#saved")
    anna.until(lambda: real.rows(clip))
    ben.look().says("Anna changed this clip just now", "#notices")
    ben.until(lambda: ben.written == ["van Anna", YES])
    (row,) = real.rows(clip)
    late = ben.run("return window.seen") / 1000 - row.at
    assert row.author == "Anna" and late < 2


def test_of_two_saves_the_second_meets_the_first_and_both_stay(
    real: Real, two: tuple[Annotator, Annotator]
) -> None:
    anna, ben = two
    _, bens = real.lines
    clip = ben.look().clip
    bens.cut()  # and so he is not told
    ben.rewrite(0, "wij gaan naar Ben")
    ben.rewrite(1, "nee dat is het niet")
    ben.press_keys("Ctrl+S")
    ben.says("1 correction not sent, kept in this browser", "#saved")
    anna.look().rewrite(0, "wij gaan naar Anna")
    anna.press_keys("Ctrl+S")
    anna.until(lambda: real.rows(clip))
    bens.up = True
    ben.look().until(lambda: ben.sees("#merge"))
    assert bens.statuses == [409]
    mine, theirs, model = [each.text for each in ben.all("#merge .versions section")]
    assert mine.startswith("Mine") and "Ben" in mine and "het niet" in mine
    assert theirs.startswith("Theirs (Anna)") and "Anna\n" in theirs
    assert model.startswith("The model's") and "wij gaan naar hui" in model
    assert [legend.text for legend in ben.all("#merge legend")] == ["Turn 1, verbatim"]
    ben.tab_to("#merge [type=radio]")
    ben.keys(Keys.DOWN, Keys.TAB)
    ben.to_end()
    ben.keys(" en Ben")
    ben.shortcut(Keys.ENTER)
    ben.says("Saved", "#saved")
    merged = ["wij gaan naar Anna en Ben", "nee dat is het niet"]
    assert ben.written == merged and ben.all("#notices div") == []
    assert real.saved(clip) == [["wij gaan naar Anna", YES], merged]
    assert [row.author for row in real.rows(clip)] == ["Anna", "Ben"] and bens.statuses == [409, 200]
    anna.look().until(lambda: anna.written == merged)


def test_edits_under_way_meet_what_another_saves(real: Real, two: tuple[Annotator, Annotator]) -> None:
    anna, ben = two
    clip = ben.look().clip
    ben.rewrite(1, "van Ben")
    anna.look().rewrite(0, "van Anna")
    anna.press_keys("Ctrl+S")
    ben.look().says("Anna changed this clip just now, while you edit it", "#notices")
    assert ben.written[1] == "van Ben"
    ben.press_keys("Alt+V")
    ben.until(lambda: ben.sees("#merge"))
    ben.shortcut(Keys.ENTER)
    ben.until(lambda: ben.written == ["van Anna", "van Ben"])
    ben.press_keys("Ctrl+S")
    ben.until(lambda: real.saved(clip) == [["van Anna", YES], ["van Anna", "van Ben"]])


@pytest.fixture
def anna(real: Real, line: Line, driver: Chrome, downloads: Path, windows: object) -> Iterator[Annotator]:
    """Somebody with an account."""
    real.invite("owner", line)
    real.start()
    anna = joined(real, line, driver, downloads, "Anna", "127.0.0.1")
    yield anna
    anna.right()


@pytest.mark.parametrize("closed", [False, True])
def test_a_session_that_ends_in_the_midst_of_work_loses_nothing(
    real: Real, anna: Annotator, closed: bool
) -> None:
    clip = anna.clip
    anna.rewrite(0, "wij gaan naar huis")
    real.execute("UPDATE sessions SET expires = 0")
    anna.press_keys("Ctrl+S")
    anna.until(lambda: anna.sees("#login"))
    assert "Your session has ended" in anna.find("#login .why").text and real.rows() == []
    if closed:
        anna.sign = "#login[open]"
        anna.open()
    anna.find("#login [name=name]").send_keys("Anna")
    anna.find("#login [name=password]").send_keys(PASSWORD, Keys.ENTER)
    anna.until(lambda: real.saved(clip) == [["wij gaan naar huis", YES]])
    anna.until(lambda: anna.all("#turns li"))
    anna.says("Saved", "#saved")
    assert [row.author for row in real.rows()] == ["Anna"]


# What others put in


def test_no_text_is_code_wherever_it_is_shown(real: Real, desk: Annotator) -> None:
    clip = desk.clip
    desk.rewrite(0, f"{EVIL} =1+1")
    desk.press_keys("Alt+C")
    desk.until(lambda: desk.sees("#comment"))
    desk.find("#comment textarea").send_keys(f"=HYPERLINK({EVIL})")
    desk.shortcut(Keys.ENTER)
    desk.until(lambda: len(real.rows()) == 1)
    desk.press_keys("Alt+R")
    desk.until(lambda: desk.all("#rename .speakers input"))
    desk.find("#rename [name=after]").send_keys(EVIL, Keys.ENTER)
    desk.until(lambda: len(real.rows()) == 2)
    desk.address += f"#clip/{clip}"
    desk.open()
    desk.until(lambda: desk.written == [f"{EVIL} =1+1", YES])
    assert EVIL in desk.find("#comment-text").text and EVIL in desk.voices
    desk.press_keys("Alt+W")
    desk.until(lambda: desk.sees("#search"))
    desk.find("#search [name=text]").send_keys("onerror", Keys.ENTER)
    desk.until(lambda: EVIL in desk.find("#search .found").text)
    file = desk.run("return fetch('/api/export/history.csv').then((answer) => answer.text())")
    rows = list(csv.DictReader(io.StringIO(file)))
    assert rows[0]["comment"] == f"'=HYPERLINK({EVIL})" and EVIL in rows[0]["after"]
    assert desk.run("return window.hacked ?? document.querySelectorAll('img').length") == 0
    desk.right()


@contextmanager
def elsewhere(page: str) -> Generator[str]:
    """A page of another origin of this machine, which is the same site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


TRIES = """
    const [to, clip, done] = arguments;
    const body = JSON.stringify({
        version: 0, state: { start: 0, end: 1, turns: [] }, action: "edit", role: "owner",
        find: "gaan", replace: "weg", whole: true, case: false, before: "A", after: "weg",
    });
    const recording = clip.slice(0, 32);
    const paths = ["replace", "next", "invitations", `clips/${clip}`, `recordings/${recording}/speakers`, "logout"];
    const headers = { "Content-Type": "application/json", "X-CSRF-Token": "x", "Idempotency-Key": "x" };
    const ask = (path, options) => fetch(`${to}/api/${path}`, { body, credentials: "include", ...options })
        .then((answer) => answer.type === "opaque" ? "unread" : answer.status, () => "refused");
    Promise.all([
        ...paths.map((path) => ask(path, { method: "POST", mode: "no-cors" })),
        ...paths.map((path) => ask(path, { method: "POST", headers })),
        ask(`clips/${clip}`, { method: "PUT", headers }),
        ask(`clips/${clip}`, { body: undefined }), ask("me", { body: undefined }),
    ]).then(done);
"""


@pytest.mark.parametrize("who", ["desk", "anna"])
def test_a_page_from_elsewhere_changes_and_reads_nothing(
    real: Real, line: Line, driver: Chrome, request: pytest.FixtureRequest, who: str
) -> None:
    desk = request.getfixturevalue(who)
    clip, to = desk.clip, f"http://127.0.0.1:{line.port}"
    form = f'<form method=post enctype=text/plain action="{to}/api/replace"><input name=a><button>Go</button></form>'
    with elsewhere(f"{form}<iframe src={to}></iframe>") as address:
        driver.get(address)
        desk.until(lambda: driver.find_elements("tag name", "iframe"))
        driver.switch_to.frame(0)
        desk.until(lambda: desk.run("return location.href") != "about:blank")
        assert desk.run("return location.href").startswith("chrome-error:"), "it is shown in no frame"
        driver.switch_to.default_content()
        tried = driver.execute_async_script(TRIES, to, clip)
        assert set(tried) == {"refused"}
        driver.find_element("tag name", "button").click()
        desk.until(lambda: "Pages of other hosts may not speak here" in driver.page_source)
    assert real.rows() == []
    desk.open()
    desk.rewrite(0, "van hier")
    desk.press_keys("Ctrl+S")
    desk.until(lambda: real.saved(desk.clip) == [["van hier", YES]])


# The browser's store


FILL = """
    for (const size of [1 << 20, 1 << 14, 1 << 8, 1])
        try { for (let at = 0; ; at++) localStorage.setItem(`full.${size}.${at}`, "x".repeat(size)); } catch { /* full */ }
"""
FORBID = """
    Object.defineProperty(window, "localStorage", { get() { throw new DOMException("forbidden", "SecurityError"); } });
"""


@pytest.mark.parametrize("state", ["full", "forbidden"])
def test_a_browser_that_keeps_nothing_is_told_of_and_work_arrives(
    real: Real, line: Line, desk: Annotator, state: str
) -> None:
    if state == "full":
        desk.run(FILL)
    else:
        script = {"source": FORBID}
        added = desk.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", script)
        desk.open()
        desk.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    clip = desk.clip
    desk.rewrite(0, "wij gaan naar huis")
    desk.says("This browser keeps nothing", "#notices")
    line.cut()
    desk.press_keys("Ctrl+S")
    desk.says("1 correction not sent, only in this tab", "#saved")
    line.up = True
    desk.says("Saved", "#saved")
    assert real.saved(clip) == [["wij gaan naar huis", YES]]
    desk.run("localStorage.clear()" if state == "full" else "")
