"""Reading the pay page as a browser and its customer do."""

import re
from html import unescape

import httpx


def form_of(page: httpx.Response) -> tuple[str, dict[str, str], list[str]]:
    """Where the page's form goes, its hidden fields, and the amounts that it lets the customer choose from."""
    assert page.status_code == 200, page.text
    found = re.search(r'<form method="post" action="([^"]+)"', page.text)
    assert found, page.text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)"', page.text))
    return unescape(found[1]), hidden, re.findall(r'<input type="radio" name="amount" value="(\d+)"', page.text)


def text_of(page: httpx.Response) -> str:
    """What stands on the page, in one line."""
    assert page.status_code == 200, page.text
    within_a_line = re.sub(r"</?(span|time)\b[^>]*>", "", page.text.split("<body>")[1])
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", within_a_line)).split())
