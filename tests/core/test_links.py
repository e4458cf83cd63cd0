"""How much of a web address is shown."""

from __future__ import annotations

import pytest

from backfill_cli.core.links import scheme_of, shown_link


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.com/services/T0/B0/XyZ", "https://hooks.example.com/…"),
        ("https://ann:secret@example.com:8443/?token=1", "https://example.com:8443/…"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://example.com/", "http://example.com"),
        ("http://example.com:port/secret", "http:///…"),
        ("HTTP://[broken/secret", "http:///…"),
    ],
)
def test_of_a_url_the_host_is_shown_and_nothing_that_may_be_a_token(url: str, shown: str) -> None:
    assert shown_link(url) == shown


def test_a_text_is_a_url_when_it_begins_with_a_scheme() -> None:
    assert scheme_of("HTTPS://x") == "https"
    assert scheme_of("curl https://x") == scheme_of("") == scheme_of("secret:HOOK") == scheme_of("C:\\x") == ""
