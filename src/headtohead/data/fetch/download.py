"""One file over HTTP into a `.part` file that a later call continues. What it must be is checked by the caller."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx

import headtohead

TIMEOUT = httpx.Timeout(15.0, connect=5.0)  # s
RETRIES = 3  # in a row that bring less than MIN_GAIN
MIN_GAIN = 2**20  # bytes
PAUSE_S = 0.5  # before the first retry; doubled for each further one
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that a retry may mend
UNREACHABLE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)


class Unavailable(Exception):
    """Why the file cannot be had from this address."""


def _host(url: str) -> str:
    return httpx.URL(url).host


def _validator(response: httpx.Response) -> str:
    """What If-Range takes: a strong ETag, else the date of the last change, else nothing."""
    etag, date = (response.headers.get(name, "") for name in ("ETag", "Last-Modified"))
    validator: str = etag if etag and not etag.startswith("W/") else date
    return validator if validator.isascii() else ""  # others could not be sent back


def _request(client: httpx.Client, url: str, size: int, part: Path, moved: Callable[[int], object]) -> bool:
    """One request, as far as it comes; whether it continued what was there. httpx.TransportError where it breaks."""
    have = part.stat().st_size if part.exists() else 0
    validator = part.with_name(f"{part.name}.validator")  # of the version that `part` is the beginning of
    headers = {"Accept-Encoding": "identity", "User-Agent": f"headtohead/{headtohead.__version__}"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator.exists() and (known := validator.read_text(encoding="utf-8")):
            headers["If-Range"] = known
    with client.stream("GET", url, headers=headers) as response:
        status = response.status_code
        span = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        offered = span[2] if span else response.headers.get("Content-Length", "*")  # "*": it does not say
        continues = bool(have and status == 206 and span and int(span[1]) == have)
        if status in (200, 206) and offered not in (str(size), "*"):
            raise Unavailable(f"{_host(url)} offers {offered} bytes where the published file has {size}")
        if status in PASSING:
            raise httpx.ReadError(f"HTTP {status}")
        if status != 200 and not continues:
            raise Unavailable(f"{_host(url)} answers HTTP {status} {response.reason_phrase}".rstrip())
        if not continues:
            moved(-have)
            have = 0
            validator.write_text(_validator(response), encoding="utf-8")
        # Raw: a server that calls .tgz a content encoding would have it unpacked on the way.
        with part.open("ab" if continues else "wb") as stream:
            for chunk in response.iter_raw():
                have += len(chunk)
                if have > size:
                    raise Unavailable(f"{_host(url)} sends more than the {size} bytes of the published file")
                stream.write(chunk)
                moved(len(chunk))
    return continues


def download(url: str, size: int, part: Path, moved: Callable[[int], object], timeout: httpx.Timeout = TIMEOUT) -> bool:
    """Bring `part` to `size` bytes of the file at `url`; `moved` hears of every byte gained (or, negative, given up).

    Whether anything was continued, and so could be of two versions. Unavailable where the address does not serve it;
    after RETRIES in a row that bring nothing what has come so far stays for the next call.
    """
    continued, failures, came = False, 0, False

    def count(bytes_: int) -> None:
        nonlocal came
        came = came or bytes_ > 0
        moved(bytes_)

    try:
        client = httpx.Client(follow_redirects=True, timeout=timeout)
    except (ImportError, ValueError) as error:
        raise Unavailable(f"the proxy named in the environment cannot be used ({error})") from error
    with client:
        while (before := part.stat().st_size if part.exists() else 0) < size:
            problem = "the connection ended early"
            try:
                continued |= _request(client, url, size, part, count)
            except (httpx.TransportError, httpx.TooManyRedirects) as error:
                problem = str(error) or type(error).__name__
                if isinstance(error, UNREACHABLE) and not came:
                    raise Unavailable(f"{_host(url)} cannot be reached ({problem})") from error
                continued = True
            have = part.stat().st_size if part.exists() else 0
            failures = 0 if have - before >= MIN_GAIN else failures + 1
            if have < size:
                if failures > RETRIES:
                    raise Unavailable(f"{_host(url)}: {problem}, {failures} times in a row")
                time.sleep(PAUSE_S * 2 ** max(0, failures - 1))
    return continued
