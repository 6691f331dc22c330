"""Addresses of webhooks."""

from urllib.parse import urlsplit

from services.registry.errors import WebhookInvalid


def check_url(url: str) -> None:
    """
    Refuse an address that nobody could mean to be called; which hosts may be called is for delivery to decide.

    Raises:
        WebhookInvalid: It is not an absolute http or https URL, or has user name, password or fragment.
    """
    if not url.isascii() or not url.isprintable() or any(char in url for char in ' "<>\\^`{|}'):
        raise WebhookInvalid("the URL holds characters that must be percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WebhookInvalid("this is no URL") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise WebhookInvalid("the URL must be absolute, http or https")
    if "@" in parts.netloc:
        raise WebhookInvalid("the URL must not hold a user name or password")
    if "#" in url:
        raise WebhookInvalid("the URL must not have a fragment")
    if port == 0:
        raise WebhookInvalid("the URL has no usable port")
