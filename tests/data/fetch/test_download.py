"""Downloads from a server that cuts, changes, stalls and lies."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from local_server import Site, serving

from headtohead.images.fetch.download import MIN_GAIN, RETRIES, Unavailable, download

SIZE = 300_000
CONTENT = os.urandom(SIZE)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headtohead.images.fetch.download.PAUSE_S", 0.0)
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as one:
        one.files["a.bin"] = CONTENT
        yield one


class Counted:
    """Bytes gained and given up, as a progress bar would add them."""

    def __init__(self) -> None:
        self.total = 0

    def __call__(self, count: int) -> None:
        self.total += count


def test_in_one_piece(site: Site, tmp_path: Path) -> None:
    moved = Counted()
    assert not download(f"{site.address}/a.bin", SIZE, tmp_path / "p", moved)
    assert (tmp_path / "p").read_bytes() == CONTENT
    assert moved.total == SIZE
    assert site.asked == [("a.bin", "")]


def test_a_cut_connection_is_continued(site: Site, tmp_path: Path) -> None:
    site.cuts = [100_000, 50_000]
    moved = Counted()
    assert download(f"{site.address}/a.bin", SIZE, tmp_path / "p", moved)
    assert (tmp_path / "p").read_bytes() == CONTENT
    assert moved.total == SIZE
    assert site.asked == [("a.bin", ""), ("a.bin", "bytes=100000-"), ("a.bin", "bytes=150000-")]


def test_the_last_try_that_is_left_completes_the_file(site: Site, tmp_path: Path) -> None:
    site.cuts = [1000] * RETRIES
    download(f"{site.address}/a.bin", SIZE, tmp_path / "p", Counted())
    assert (tmp_path / "p").read_bytes() == CONTENT
    assert len(site.asked) == RETRIES + 1


def test_an_end_without_a_length_is_no_end(site: Site, tmp_path: Path) -> None:
    site.says_length, site.cuts = False, [100_000]
    download(f"{site.address}/a.bin", SIZE, tmp_path / "p", Counted())
    assert (tmp_path / "p").read_bytes() == CONTENT
    assert site.asked[1] == ("a.bin", "bytes=100000-")


def test_a_server_without_ranges_begins_anew(site: Site, tmp_path: Path) -> None:
    site.has_ranges, site.cuts = False, [100_000]
    moved = Counted()
    download(f"{site.address}/a.bin", SIZE, tmp_path / "p", moved)
    assert (tmp_path / "p").read_bytes() == CONTENT
    assert moved.total == SIZE


def test_a_file_that_changed_meanwhile_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    site.files["a.bin"], site.cuts = bytes(SIZE), [100_000] * (RETRIES + 1)
    site.has_ranges = False
    with pytest.raises(Unavailable):  # an earlier call that was given up
        download(f"{site.address}/a.bin", SIZE, tmp_path / "p", Counted())
    assert (tmp_path / "p").stat().st_size == 100_000
    site.files["a.bin"], site.etag, site.has_ranges = CONTENT, '"2"', True
    assert not download(f"{site.address}/a.bin", SIZE, tmp_path / "p", Counted())
    assert (tmp_path / "p").read_bytes() == CONTENT
    assert site.asked[-1] == ("a.bin", "bytes=100000-")


def test_a_range_that_the_server_lacks_or_another_one_is_not_appended(site: Site, tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(CONTENT[:200_000])
    site.files["a.bin"] = CONTENT[:100_000]
    with pytest.raises(Unavailable, match="HTTP 416"):
        download(f"{site.address}/a.bin", SIZE, tmp_path / "p", Counted())
    site.files["a.bin"] = CONTENT + b"x"
    with pytest.raises(Unavailable, match=f"offers {SIZE + 1} bytes"):
        download(f"{site.address}/a.bin", SIZE, tmp_path / "p", Counted())
    site.files["a.bin"], site.shift = CONTENT, 1
    with pytest.raises(Unavailable, match="HTTP 206"):
        download(f"{site.address}/a.bin", SIZE, tmp_path / "p", Counted())
    assert (tmp_path / "p").read_bytes() == CONTENT[:200_000]


def test_a_file_of_another_size_is_not_downloaded(site: Site, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=f"127.0.0.1 offers {SIZE} bytes where the published file has 5"):
        download(f"{site.address}/a.bin", 5, tmp_path / "p", Counted())
    site.says_length = False
    with pytest.raises(Unavailable, match="more than the 5 bytes"):
        download(f"{site.address}/a.bin", 5, tmp_path / "p", Counted())
    assert (tmp_path / "p").stat().st_size <= 5


def test_what_is_not_there(site: Site, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="HTTP 404 Not Found"):
        download(f"{site.address}/b.bin", SIZE, tmp_path / "p", Counted())
    assert len(site.asked) == 1


@pytest.mark.parametrize("where", ["file:///etc/hostname", "ftp://127.0.0.1/a.bin", "/round"])
def test_a_redirect_leads_to_http_alone_and_not_in_circles(site: Site, tmp_path: Path, where: str) -> None:
    site.redirects = {"moved": "/a.bin", "round": where}
    download(f"{site.address}/moved", SIZE, tmp_path / "p", Counted())
    assert (tmp_path / "p").read_bytes() == CONTENT
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
        download(f"{site.address}/round", SIZE, tmp_path / "q", Counted())
    assert not (tmp_path / "q").exists()


def test_a_validator_that_cannot_be_sent_back_is_not_used(site: Site, tmp_path: Path) -> None:
    site.etag, site.cuts = '"é"', [100_000]
    download(f"{site.address}/a.bin", SIZE, tmp_path / "p", Counted())
    assert (tmp_path / "p").read_bytes() == CONTENT
    assert site.asked[1] == ("a.bin", "bytes=100000-")


def test_passing_faults_of_the_server_are_waited_out(site: Site, tmp_path: Path) -> None:
    site.statuses = [503, 429]
    download(f"{site.address}/a.bin", SIZE, tmp_path / "p", Counted())
    assert (tmp_path / "p").read_bytes() == CONTENT
    site.statuses = [503] * (RETRIES + 1)
    with pytest.raises(Unavailable, match=f"HTTP 503, {RETRIES + 1} times in a row"):
        download(f"{site.address}/a.bin", SIZE, tmp_path / "q", Counted())


def test_cuts_are_bounded_only_while_nothing_comes(site: Site, tmp_path: Path) -> None:
    big = os.urandom((RETRIES + 3) * MIN_GAIN)
    site.files["big.bin"], site.cuts = big, [MIN_GAIN] * (RETRIES + 2)
    download(f"{site.address}/big.bin", len(big), tmp_path / "p", Counted())
    assert (tmp_path / "p").read_bytes() == big
    site.cuts = [0] * (RETRIES + 1)
    with pytest.raises(Unavailable, match="times in a row"):
        download(f"{site.address}/big.bin", len(big), tmp_path / "q", Counted())


def test_a_server_that_stalls_is_given_up_and_what_came_is_kept(site: Site, tmp_path: Path) -> None:
    site.cuts, site.stalls = [100_000] * 2 + [0] * RETRIES, True
    with pytest.raises(Unavailable, match="times in a row"):
        download(f"{site.address}/a.bin", SIZE, tmp_path / "p", Counted(), timeout=httpx.Timeout(0.2))
    assert (tmp_path / "p").read_bytes() == CONTENT[:200_000]


def test_a_server_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.bin"
        with pytest.raises(Unavailable, match=f"127.0.0.1: timed out, {RETRIES + 1} times in a row"):
            download(url, SIZE, tmp_path / "p", Counted(), timeout=httpx.Timeout(0.1))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1 cannot be reached"):
        download(url, SIZE, tmp_path / "p", Counted())
    assert not (tmp_path / "p").exists()


def test_a_host_that_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unavailable, match=r"data\.example cannot be reached .*not known"):
        download("https://data.example/a.bin", SIZE, tmp_path / "p", Counted())


def test_a_proxy_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://127.0.0.1:1")
    with pytest.raises(Unavailable, match="proxy"):
        download("https://data.example/a.bin", SIZE, tmp_path / "p", Counted())
