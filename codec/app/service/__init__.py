"""An ASGI application that shows the .aec files in a folder to browsers.

    GET /photo.aec   the picture; ?format=png|jpeg|webp|aec, ?w=WIDTH, ?region=X,Y,W,H
    GET /folder/     what is in a folder, with thumbnails
    GET /search      JSON: the pictures most like one, ?like=PATH
    GET /.web/       the decoder for browsers, see codec/web/README.md
    GET /health      "ok"
    PUT /photo.aec   encode the picture in the body, if uploads are allowed;
                     ?quality=, ?tune=, ?content=, ?lossless=1

A few processes work on pictures, each for one request, and end with it. Other requests
wait, with no memory taken for their pictures; uploads wait on disk. Nothing outside the
folder is read or written, wherever paths and links lead.
"""
