"""The subcommand `tables`: writes the measured tables into a Markdown file.

A table stands between `<!-- table NAME -->` and `<!-- end -->`, and is made of the CSV
files in the folder of the results alone.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import click

from benchmarks.bd_rate import bd_rate
from benchmarks.codecs import CODECS
from benchmarks.comparison import (
    Comparison,
    Range,
    mean_percent,
    measured,
    points,
)
from benchmarks.graphics import OURS_LOSSLESS, Advantage, Drawing
from benchmarks.heads import Use
from benchmarks.measurement import Measurement
from benchmarks.metrics import METRICS
from benchmarks.options import results_option
from benchmarks.results import Average, read_rows

MARKED = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
OURS = "aecodec"
QUALITIES = (1, 20, 40, 60, 80, 100)
RIVAL = "avif"
UNREFINED = "aecodec-psnr"
EVERYTHING = -math.inf, math.inf
SUMMARIZED: Sequence[tuple[str, str, Range, str]] = (
    (OURS, "ssimulacra2", EVERYTHING, ""),
    (OURS, "ssimulacra2", (50, math.inf), " of 50 and more"),
    (OURS, "cvvdp", EVERYTHING, ""),
    (OURS, "butteraugli", EVERYTHING, ""),
    (OURS, "ms_ssim", EVERYTHING, ""),
    (OURS, "psnr", EVERYTHING, ""),
    (UNREFINED, "psnr", EVERYTHING, " of `--tune psnr`"),
)
EFFORTS = {
    "aecodec-e1": "1 to 3: analysis in int8",
    UNREFINED: "4 to 6: analysis in float (default)",
    "aecodec-e7": "7: 10 steps of gradient descent on the latents",
    "aecodec-e8": "8: 40 steps",
    "aecodec-e9": "9: 150 steps, rounding at random",
}

SHOWN_USES = (
    ("denoise", "noise, sigma 25"),
    ("restore", "JPEG, quality 20"),
    ("upscale", "half as large"),
    ("colorize", "without color"),
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def existing(path: Path) -> Path:
    if not path.exists():
        raise click.UsageError(f"there is no {path}; see benchmarks/README.md")
    return path


def percent(value: float) -> str:
    if math.isnan(value):
        return "none"
    return f"{value:+.1f} %".replace("+0.0", "0.0").replace("-0.0", "0.0")


def label(codec: str) -> str:
    text = CODECS[codec].description.replace("Pillow, ", "")
    return "**aecodec**" if codec == OURS else text


def bd_rates(folder: Path) -> str:
    """Codecs from the best to the worst in PSNR."""
    comparisons = read_rows(existing(folder / "kodak_bd_rates.csv"), Comparison)
    rows = {(row.codec, row.metric): row for row in comparisons}
    in_psnr = [row for (_, metric), row in rows.items() if metric == "psnr"]
    other_metrics = [m for m in dict.fromkeys(m for _, m in rows) if m != "psnr"]

    def cells(row: Comparison) -> list[str]:
        others = (rows[row.codec, metric] for metric in other_metrics)
        spread = f"{row.image_least:.0f} to {row.image_most:.0f}"
        return [
            label(row.codec),
            percent(row.common_percent),
            percent(row.image_mean),
            spread,
            *(percent(other.image_mean) for other in others),
        ]

    first = in_psnr[0]
    head = ["BD-rate against JPEG", "PSNR, common range", "PSNR", "of single images"]
    head += [METRICS[metric].label for metric in other_metrics]
    note = f"Common range: {first.common_low:.1f} to {first.common_high:.1f} dB.\n"
    in_psnr.sort(key=lambda row: row.common_percent)
    return table(head, [cells(row) for row in in_psnr]) + "\n" + note


def summary(folder: Path) -> str:
    """Against AVIF: photographs, and drawn pictures; the best and the worst one."""
    rows = read_rows(existing(folder / "kodak.csv"), Measurement)
    images = sorted({row.image for row in rows})

    def cells(what: str, found: Sequence[float]) -> list[str]:
        numbers = mean_percent(found), min(found), max(found)
        return [f"{len(found)} {what}", *map(percent, numbers)]

    def of_photographs(
        codec: str, metric: str, between: Range, suffix: str
    ) -> list[str]:
        def curve(image: str, name: str) -> tuple[list[float], list[float]]:
            here = (row for row in rows if (row.image, row.codec) == (image, name))
            return points(here, metric)

        found = [
            bd_rate(*curve(image, RIVAL), *curve(image, codec), between).percent
            for image in images
        ]
        return cells(f"photographs, {METRICS[metric].label}{suffix}", found)

    drawn = [
        row.percent
        for row in read_rows(existing(folder / "graphics_summary.csv"), Advantage)
        if (row.ours, row.codec) == (OURS, "avif-fast") and not math.isnan(row.percent)
    ]
    head = ["bytes against AVIF, for the same quality", "mean", "best", "worst"]
    shown = [of_photographs(*case) for case in SUMMARIZED]
    what = f"screens, charts and pages, {METRICS['ssimulacra2'].label}"
    return table(head, [*shown, cells(what, drawn)])


def qualities(folder: Path) -> str:
    """Both tunes at equal quality."""
    averages = read_rows(existing(folder / "kodak_summary.csv"), Average)
    metrics = [metric for metric in measured(averages) if metric != "psnr_ycbcr"]
    rows = {(row.codec, row.quality): row for row in averages}

    def cells(codec: str, quality: float) -> list[str]:
        row = rows[codec, quality]
        name = f"{quality:g}" + " (default)" * (quality == 60)
        values = [f"{getattr(row, m):.{METRICS[m].decimals}f}" for m in metrics]
        return [label(codec), name, f"{row.bpp:.3f}", *values]

    head = ["", "quality", "bits per pixel", *(METRICS[m].label for m in metrics)]
    both = [(codec, q) for codec in (OURS, UNREFINED) for q in QUALITIES]
    return table(head, [cells(*key) for key in both if key in rows])


def efforts(folder: Path) -> str:
    averages = read_rows(existing(folder / "kodak_efforts_summary.csv"), Average)
    times = {  # the default's speed to this one's
        row["codec"]: float(row["encode_ratio"])
        for row in csv_rows(folder, "efforts_speed.csv")
        if row["threads"] == "2"
    }

    def curve(codec: str) -> tuple[list[float], list[float]]:
        return points((row for row in averages if row.codec == codec), "psnr")

    return table(
        ["effort", "bytes for the same PSNR", "time to encode"],
        [
            [
                text,
                percent(bd_rate(*curve(UNREFINED), *curve(codec)).percent),
                f"{times[codec]:.3g}",
            ]
            for codec, text in EFFORTS.items()
        ],
    )


def speed(folder: Path) -> str:
    """Two threads, all sizes."""
    rows = [row for row in csv_rows(folder, "speed.csv") if row["threads"] == "2"]
    sizes = sorted({float(row["megapixels"]) for row in rows})
    head = ["2 cores, megapixels per second"]
    head += [f"{way} {size:g} MP" for way in ("encode", "decode") for size in sizes]
    found = {(row["codec"], float(row["megapixels"])): row for row in rows}
    return table(
        head,
        [
            [
                label(codec),
                *(
                    f"{float(found[codec, size][f'{way}_mp_s']):.1f}"
                    for way in ("encode", "decode")
                    for size in sizes
                ),
            ]
            for codec in dict.fromkeys(row["codec"] for row in rows)
        ],
    )


def stages(folder: Path) -> str:
    """Milliseconds by stage and size."""
    rows = csv_rows(folder, "speed_stages.csv")
    sizes = sorted({row["megapixels"] for row in rows}, key=float)
    found = {
        (row["direction"], row["stage"], row["megapixels"]): float(row["seconds"])
        for row in rows
    }
    keys = dict.fromkeys((row["direction"], row["stage"]) for row in rows)
    return table(
        ["", "stage, ms", *(f"{float(size):g} MP" for size in sizes)],
        [
            [
                direction,
                stage,
                *(f"{1000 * found[direction, stage, size]:.0f}" for size in sizes),
            ]
            for direction, stage in keys
        ],
    )


def previews(folder: Path) -> str:
    return table(
        ["tune", "quality", "scale", "dB to the whole, reduced", "s for 24 MP"],
        [
            [
                row["tune"],
                row["quality"],
                f"1/{row['factor']}",
                row["decoded_psnr"].replace("inf", ""),
                f"{float(row['seconds']):.2f}".replace("nan", ""),
            ]
            for row in csv_rows(folder, "previews.csv")
        ],
    )


def folders(folder: Path) -> str:
    return table(
        ["command", "files per second", "MP per second", "wrong"],
        [
            [row["command"], row["files_s"], row["mp_s"], row["wrong"]]
            for row in csv_rows(folder, "folders.csv")
        ],
    )


def billion(folder: Path) -> str:
    """What 10^9 pictures of a megapixel take, at the cost of `corpus` here."""
    (run,) = (r for r in csv_rows(folder, "folders.csv") if r["command"] == "corpus")
    cores = json.loads(existing(folder / "folders_versions.json").read_text())
    core_s = cores["cpu_count"] / float(run["mp_s"])
    averages = read_rows(existing(folder / "kodak_summary.csv"), Average)
    (rate,) = (a.bpp for a in averages if (a.codec, a.quality) == (OURS, 60))
    hours = core_s * 1e9 / 3600
    return table(
        ["", "for a picture of a megapixel", "for 10^9"],
        [
            ["JPEG files read", "300 kB", "300 TB"],
            ["files written", f"{rate * 1000 / 8:.0f} kB", f"{rate * 1000 / 8:.0f} TB"],
            ["manifest", "about 0.2 kB", "about 200 GB"],
            ["cores", f"{core_s:.2f} s", f"{hours / 1000:.0f},000 hours"],
            ["100 machines of 64 cores", "", f"{hours / 6400:.0f} hours"],
            ["their reading", "", f"{300e3 / (hours / 6400 * 3600):.1f} GB/s"],
        ],
    )


def service(folder: Path) -> str:
    return table(
        [
            "request",
            "clients",
            "requests",
            "errors",
            "per second",
            "p50, s",
            "p99, s",
            "peak, MiB",
        ],
        [
            [
                row["request"],
                row["clients"],
                row["requests"],
                row["errors"],
                f"{float(row['requests_s']):.0f}",
                f"{float(row['p50_s']):.3f}",
                f"{float(row['p99_s']):.3f}",
                f"{float(row['peak_mib']):.0f}",
            ]
            for row in csv_rows(folder, "service.csv")
        ],
    )


def crowd(folder: Path) -> str:
    return table(
        [
            "client",
            "clients",
            "connections",
            "answers",
            "503",
            "errors",
            "unanswered",
            "p50, s",
            "p99, s",
        ],
        [
            [
                row["kind"],
                row["clients"],
                row["connections"],
                row["answered"],
                row["refused"],
                row["errors"],
                unanswered(row),
                *(
                    f"{float(row[name]):.3f}" if int(row["answered"]) else ""
                    for name in ("p50_s", "p99_s")
                ),
            ]
            for row in csv_rows(folder, "crowd.csv")
        ],
    )


def unanswered(row: dict[str, str]) -> str:
    """Connections of a crowd that still waited at the end; none, if it asks nothing."""
    if not int(row["answered"]):
        return ""
    ended = (int(row[name]) for name in ("answered", "refused", "errors"))
    return str(int(row["connections"]) - sum(ended))


def browser(folder: Path) -> str:
    """A row a codec and size; one core, and two."""
    rows = csv_rows(folder, "browser.csv")
    found = {(row["codec"], row["megapixels"], row["cores"]): row for row in rows}
    columns = [
        (f"{what}, {cores} core{'s' * (cores != '1')}", name, cores)
        for what, name in (
            ("first", "first_s"),
            ("preview", "preview_s"),
            ("decode", "decode_s"),
        )
        for cores in dict.fromkeys(row["cores"] for row in rows)
    ]

    def cells(codec: str, megapixels: str) -> list[str]:
        size = int(found[codec, megapixels, columns[0][2]]["bytes"])
        values = (
            float(found[codec, megapixels, cores][name]) for _, name, cores in columns
        )
        times = (f"{value:.2f}".replace("nan", "") for value in values)
        return [label(codec), f"{float(megapixels):g}", f"{size / 1000:.0f}", *times]

    head = ["seconds", "MP", "kB", *(title for title, _, _ in columns)]
    cases = dict.fromkeys((row["codec"], row["megapixels"]) for row in rows)
    return table(head, [cells(*case) for case in cases])


def browser_files(folder: Path) -> str:
    return table(
        ["file", "kB", "with gzip, kB"],
        [
            [
                row["files"],
                f"{int(row['bytes']) / 1000:.1f}",
                f"{int(row['gzip_bytes']) / 1000:.1f}",
            ]
            for row in csv_rows(folder, "browser_files.csv")
        ],
    )


def refusals(folder: Path) -> str:
    """Memory over that of the first row, which is of a good file."""
    rows = csv_rows(folder, "refusals.csv")
    least = float(rows[0]["peak_mib"])
    return table(
        ["input", "bytes", "command", "exit", "says", "MiB", "more", "s"],
        [
            [
                row["input"],
                row["input_bytes"],
                f"`{row['command']}`",
                row["exit_code"],
                row["line"].partition(": ")[2].partition(": ")[2],
                f"{float(row['peak_mib']):.0f}",
                f"{float(row['peak_mib']) - least:.0f}",
                f"{float(row['seconds']):.1f}",
            ]
            for row in rows
        ],
    )


def weaknesses(folder: Path) -> str:
    rows = csv_rows(folder, "weaknesses.csv")
    codecs = list(dict.fromkeys(row["codec"] for row in rows))

    def cell(row: dict[str, str]) -> str:
        rate, exact = float(row["percent"]), float(row["exact_percent"])
        if math.isnan(exact):
            return percent(rate)
        return f"{percent(rate)}; ".replace("none; ", "") + f"exact {percent(exact)}"

    found = {(row["kind"], row["codec"]): cell(row) for row in rows}
    return table(
        ["BD-rate of PSNR against JPEG", *map(label, codecs)],
        [
            [kind, *(found[kind, name] for name in codecs)]
            for kind in dict.fromkeys(row["kind"] for row in rows)
        ],
    )


def graphics(folder: Path) -> str:
    """Ours against each codec over the pictures; lossy files first."""
    rows = read_rows(existing(folder / "graphics_summary.csv"), Advantage)
    cases = dict.fromkeys((row.ours, row.codec) for row in rows)

    def cells(ours: str, codec: str) -> list[str]:
        here = [r.percent for r in rows if (r.ours, r.codec) == (ours, codec)]
        known = [value for value in here if not math.isnan(value)] or [math.nan]
        found = mean_percent(known), median(known), min(known), max(known)
        count = str(len(known))
        return [label(ours), label(codec), count, *map(percent, found)]

    head = ["ours", "against", "pictures", "mean", "median", "best", "worst"]
    return table(head, [cells(*case) for case in cases])


def graphics_pictures(folder: Path) -> str:
    """A row a picture."""
    rows = read_rows(existing(folder / "graphics_summary.csv"), Advantage)
    files = read_rows(existing(folder / "graphics.csv"), Drawing)
    found = {(row.image, row.ours, row.codec): percent(row.percent) for row in rows}

    def exact_from(image: str) -> str:
        ours = [f for f in files if (f.image, f.codec) == (image, OURS)]
        lossy = max((f.quality for f in ours if f.exact < 1), default=0)
        above = [f.quality for f in ours if f.quality > lossy]
        return f"{min(above):g}" if above else "none"

    head = [
        "picture",
        f"against {label('avif-fast')}",
        "exact from quality",
        "exact file, against lossless WebP",
        "`--lossless`, against lossless WebP",
        "`--lossless`, against PNG",
    ]
    return table(
        head,
        [
            [
                image,
                found[image, OURS, "avif-fast"],
                exact_from(image),
                found[image, OURS, "webp-lossless"],
                found[image, OURS_LOSSLESS, "webp-lossless"],
                found[image, OURS_LOSSLESS, "png"],
            ]
            for image in dict.fromkeys(row.image for row in rows)
        ],
    )


def entropy(folder: Path) -> str:
    return table(
        ["coder", "quality", "over the ideal", "encode, Msymbols/s", "decode"],
        [
            [
                row["coder"],
                row["quality"],
                f"{float(row['overhead_percent']):+.3f} %",
                f"{float(row['encode_msym_s']):.0f}",
                f"{float(row['decode_msym_s']):.0f}",
            ]
            for row in csv_rows(folder, "entropy.csv")
        ],
    )


def complexity(folder: Path) -> str:
    return table(
        ["part", "kMAC per pixel", "MB"],
        [
            [
                row["part"],
                row["kmac_per_pixel"].replace("nan", ""),
                f"{int(row['bytes']) / 1e6:.2f}",
            ]
            for row in csv_rows(folder, "complexity.csv")
        ],
    )


def features(folder: Path) -> str:
    """A row a quality."""
    rows = csv_rows(folder, "features.csv")
    methods = list(dict.fromkeys(row["method"] for row in rows))
    found = {(row["quality"], row["method"]): row for row in rows}
    return table(
        ["quality (bits per pixel)", *methods, *(f"{name}, ms" for name in methods)],
        [
            [
                f"{quality} ({found[quality, methods[0]]['rate_bpp']})",
                *(f"{float(found[quality, m]['accuracy']):.1%}" for m in methods),
                *(found[quality, method]["milliseconds"] for method in methods),
            ]
            for quality in dict.fromkeys(row["quality"] for row in rows)
        ],
    )


def search(folder: Path) -> str:
    rows = csv_rows(folder, "search.csv")
    return table(
        ["changed copy", "found first", "of the first five"],
        [
            [row["copies"], *(f"{float(row[n]):.1%}" for n in ("first", "first_five"))]
            for row in rows
        ],
    )


def search_speed(folder: Path) -> str:
    return table(
        ["pictures", "bytes for one", "an answer, s", "work of one core, s"],
        [
            [
                f"{int(row['pictures']):,}",
                f"{float(row['bytes_each']):.0f}",
                *(f"{float(row[n]):.3f}" for n in ("seconds", "core_seconds")),
            ]
            for row in csv_rows(folder, "search_speed.csv")
        ],
    )


def heads(folder: Path) -> str:
    """A row a use, harm and quality; PSNR and MS-SSIM of every method."""
    rows = read_rows(existing(folder / "heads.csv"), Use)
    cases = dict.fromkeys((r.use, r.harm, r.quality) for r in rows if r.harm)

    def cells(use: str, harm: str, quality: float) -> list[str]:
        found = [r for r in rows if (r.use, r.harm, r.quality) == (use, harm, quality)]
        texts = [
            f"{row.method} {row.psnr:.2f} ({row.ms_ssim:.3f})".removeprefix(f"{OURS} ")
            for row in found
        ]
        *others, ours = texts
        rate = f"{quality:g} ({found[0].rate_bpp:.3f})"
        return [use, harm, rate, ", ".join(others), f"**{ours}**"]

    head = ["head", "harm", "quality (bits per pixel)", "without it", "with it"]
    return table(head, [cells(*case) for case in cases])


def uses(folder: Path) -> str:
    """A row a use besides the picture, against the best that one would do without."""
    made = read_rows(existing(folder / "heads.csv"), Use)
    described = {
        row["method"]: float(row["accuracy"])
        for row in csv_rows(folder, "features.csv")
        if row["quality"] == "60"
    }

    def of_head(use: str, harm: str) -> list[str]:
        here = [r for r in made if (r.use, r.harm, r.quality) == (use, harm, 80)]
        *others, ours = here
        best = max(others, key=lambda row: row.psnr)
        option = f"`decode --{use}`".replace("upscale", "upscale 2")
        measure = "PSNR of the chroma" if use == "colorize" else "PSNR"
        texts = [f"{best.psnr:.2f} dB", f"{ours.psnr:.2f} dB"]
        better = ours.psnr > best.psnr
        texts[better] = f"**{texts[better]}**"
        without, with_ours = texts
        without += f" ({best.method})"
        return [option, f"{harm}: {measure}", without, with_ours, "heads.csv"]

    def of_domain(domain: str) -> list[str]:
        found = f"**{adaptation_percent(folder, domain)}**"
        what = f"{domain}: bytes for the same PSNR"
        return ["`adapt`", what, "0.0 %", found, "adaptation.csv"]

    ours = described.pop("latents")
    name, best = max(described.items(), key=lambda item: item[1])
    values = [f"{best:.1%} ({name})", f"**{ours:.1%}**"]
    head = ["use", "measure", "without", "with", "from"]
    domains = dict.fromkeys(r["domain"] for r in csv_rows(folder, "adaptation.csv"))
    return table(
        head,
        [
            ["`features`", "leaves classified right", *values, "features.csv"],
            *(of_head(*case) for case in SHOWN_USES),
            *map(of_domain, domains),
        ],
    )


def adaptation_percent(folder: Path, domain: str) -> str:
    """Bytes of the adapted model against the base, for the same PSNR."""
    rows = csv_rows(folder, "adaptation.csv")

    def curve(model: str) -> tuple[list[float], list[float]]:
        points = [r for r in rows if (r["domain"], r["model"]) == (domain, model)]
        return [float(r["bpp"]) for r in points], [float(r["psnr"]) for r in points]

    return percent(bd_rate(*curve("base"), *curve("adapted")).percent)


def adaptation(folder: Path) -> str:
    """A row a domain."""
    cells = {
        row["domain"]: [
            row["domain"],
            f"{row['pictures']}, {row['held_out']}",
            adaptation_percent(folder, row["domain"]),
            row["seconds"],
            f"{int(row['model_bytes']) / 1e6:.2f}",
        ]
        for row in csv_rows(folder, "adaptation.csv")
    }
    head = ["domain", "pictures, held out", "bytes for the same PSNR", "s", "MB"]
    return table(head, list(cells.values()))


def transfer(folder: Path) -> str:
    """A row a degradation."""
    rows = csv_rows(folder, "adaptation_features.csv")
    found = {(r["domain"], r["alignment"]): float(r["accuracy"]) for r in rows}
    alignments = list(dict.fromkeys(row["alignment"] for row in rows))
    return table(
        ["pictures to classify", *alignments],
        [
            [domain, *(f"{found[domain, name]:.1%}" for name in alignments)]
            for domain in dict.fromkeys(row["domain"] for row in rows)
        ],
    )


def csv_rows(folder: Path, name: str) -> list[dict[str, str]]:
    with existing(folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


TABLES: dict[str, Callable[[Path], str]] = {
    "summary": summary,
    "bd-rates": bd_rates,
    "qualities": qualities,
    "efforts": efforts,
    "speed": speed,
    "stages": stages,
    "previews": previews,
    "folders": folders,
    "billion": billion,
    "service": service,
    "crowd": crowd,
    "browser": browser,
    "browser-files": browser_files,
    "refusals": refusals,
    "features": features,
    "search": search,
    "search-speed": search_speed,
    "heads": heads,
    "uses": uses,
    "adaptation": adaptation,
    "transfer": transfer,
    "weaknesses": weaknesses,
    "graphics": graphics,
    "graphics-pictures": graphics_pictures,
    "entropy": entropy,
    "complexity": complexity,
}


def filled(text: str, folder: Path) -> str:
    """`text` with all its tables as the results say."""

    def new(match: re.Match[str]) -> str:
        if match[2] not in TABLES:
            raise click.UsageError(f"there is no table {match[2]}")
        return match[1] + TABLES[match[2]](folder) + match[3]

    return MARKED.sub(new, text)


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@results_option
def tables(files: Sequence[Path], results: Path) -> None:
    """Write the measured tables into the Markdown FILES."""
    for file in files:
        text = filled(file.read_text(encoding="utf-8"), results)
        file.write_text(text, encoding="utf-8")
