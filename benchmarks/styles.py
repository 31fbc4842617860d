"""How each codec is drawn, alike in plots and on the page of `report`."""

from dataclasses import dataclass

BPP_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


@dataclass(frozen=True)
class Style:
    """Names of Plotly's: a color, a dash and a marker; `line` and `mark` are those of
    Matplotlib. No two codecs share both dash and marker, so that they can be told apart
    in gray, too.
    """

    color: str
    dash: str = "solid"
    marker: str = "circle"
    width_px: float = 1.5

    @property
    def line(self) -> str:
        return {"dash": "--", "dot": ":", "dashdot": "-."}.get(self.dash, "-")

    @property
    def mark(self) -> str:
        return MARKS[self.marker]


MARKS = {
    "circle": "o",
    "square": "s",
    "triangle-up": "^",
    "diamond": "D",
    "triangle-down": "v",
    "cross": "P",
    "x": "X",
    "star": "*",
    "pentagon": "p",
}
# Of Okabe and Ito, for color-blind people; gray shows on white and on black.
VERMILION, GRAY, GREEN, BLUE = "#D55E00", "#777777", "#009E73", "#0072B2"
PINK, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
STYLES = {
    "aecodec": Style(VERMILION, width_px=3.5),
    "aecodec-psnr": Style(VERMILION, "dash", "square", 3),
    "aecodec-exact": Style(VERMILION, "dashdot", "square"),
    "aecodec-e1": Style(GRAY, "dashdot", "triangle-down"),
    "aecodec-e7": Style(SKY, "solid", "triangle-up"),
    "aecodec-e8": Style(BLUE, "dash", "diamond"),
    "aecodec-e9": Style(GREEN, "dot", "cross"),
    "aecodec-visual-e1": Style(VERMILION, "dot", "triangle-up"),
    "aecodec-visual-e7": Style(SKY, "dashdot", "circle"),
    "aecodec-visual-e8": Style(BLUE, "solid", "cross"),
    "aecodec-visual-e9": Style(GREEN, "dot", "x"),
    "jpeg": Style(GRAY, "solid", "square", 2),
    "jpeg-444": Style(GRAY, "dash", "triangle-down"),
    "webp": Style(GREEN, "dashdot", "diamond"),
    "avif": Style(BLUE, "solid", "triangle-down", 2),
    "avif-psnr": Style(BLUE, "dot", "diamond"),
    "avif-ssimulacra2": Style(BLUE, "dashdot", "cross"),
    "avif-fast": Style(SKY, "dash", "x"),
    "avif-420": Style(SKY, "dashdot", "star"),
    "jpeg2000": Style(PINK, "dot", "star"),
    "jxl": Style(ORANGE, "solid", "x", 2),
    "aecodec-lossless": Style(VERMILION, "dashdot", "pentagon"),
    "png": Style(GRAY, "dot", "pentagon"),
    "webp-lossless": Style(GREEN, "dash", "pentagon"),
    "jxl-lossless": Style(ORANGE, "solid", "pentagon"),
}
