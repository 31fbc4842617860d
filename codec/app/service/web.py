"""The decoder for browsers, as the service sends it."""

import hashlib

from codec.app.service.answers import HEADERS, Answer
from codec.app.service.pictures import is_known
from codec.web.site import media_type, site_files

WEB = ".web"  # the folder of the URLs; no folder of this name is listed
FOR_EVER = "public, max-age=31536000, immutable"


def web_file(path: str, known: str, sha256: str) -> Answer | None:
    """A file, or status 304 if the client has it by the value of If-None-Match; None if
    there is none of this path. If the URL names its hash, it may be kept for ever.
    """
    data = site_files().get(path)
    if data is None:
        return None
    tag = hashlib.sha256(data).hexdigest()
    headers = {**HEADERS, "ETag": f'"{tag}"'}
    if sha256 == tag:
        headers["Cache-Control"] = FOR_EVER
    if is_known(tag, known):
        return Answer(status=304, headers=headers)
    headers["Content-Type"] = media_type(path)
    return Answer(data, headers=headers)
