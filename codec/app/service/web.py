"""The decoder for browsers and the files of pages, as the service sends them."""

import hashlib
import json

from codec.app.matching import COMPARED_MAX_PIXELS, COMPARED_SIDE_MAX_PX
from codec.app.service.answers import HEADERS, PAGE_POLICY, Answer
from codec.app.service.gallery import gallery_file
from codec.app.service.pictures import is_known
from codec.web.site import PLAYGROUND, media_type, site_files

WEB = ".web"  # the folder of the URLs; no folder of this name is listed
ENCODE = ".encode"  # where pictures are sent to be looked at
FOR_EVER = "public, max-age=31536000, immutable"


def web_file(path: str, known: str, sha256: str, tries: bool) -> Answer | None:
    """A file, or status 304 if the client has it by the value of If-None-Match; None if
    there is none of this path. If the URL names its hash, it may be kept for ever. The
    playground may have pictures encoded if the service `tries`.
    """
    data = gallery_file(path) or site_files().get(path)
    if data is None:
        return None
    if tries and path == PLAYGROUND:
        facts = {
            "encode": f"../{ENCODE}",
            "maxPixels": COMPARED_MAX_PIXELS,
            "maxSide": COMPARED_SIDE_MAX_PX,
            "samples": [],
        }
        data = json.dumps(facts).encode()
    tag = hashlib.sha256(data).hexdigest()
    headers = {**HEADERS, "ETag": f'"{tag}"'}
    if sha256 == tag:
        headers["Cache-Control"] = FOR_EVER
    if is_known(tag, known):
        return Answer(status=304, headers=headers)
    headers["Content-Type"] = media_type(path)
    if path.endswith(".html"):
        headers["Content-Security-Policy"] = PAGE_POLICY
    return Answer(data, headers=headers)
