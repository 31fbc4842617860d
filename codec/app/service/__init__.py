"""An ASGI application that shows the .aec files in a folder to browsers.

    GET /photo.aec   the picture; ?format=png|jpeg|webp|aec, ?w=WIDTH, ?region=X,Y,W,H,
                     ?salvage=1 for what damage has left
    GET /folder/     a page with what is in a folder; ?from=NUMBER for its next pictures
    GET /.search     JSON: the pictures most like one, ?like=PATH
    GET /.web/       the decoder for browsers, see codec/web/README.md, and the
                     playground, .web/playground.html
    GET /health      "ok"
    PUT /photo.aec   encode the picture in the body, if uploads are allowed;
                     ?quality=, ?tune=, ?content=, ?lossless=1; an .aec file
                     is kept as it is
    POST /.encode    the same without keeping it, if there are uploads or a playground;
                     or ?format=jpeg|webp|avif&bytes=N, by another codec in N bytes

A few processes work on pictures, each for one request, and end with it. Other requests
wait, with no memory taken for their pictures; uploads wait on disk. Nothing outside the
folder is read or written, wherever paths and links lead.
"""
