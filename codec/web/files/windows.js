// Windows of a picture, and the parts of arrays in them. A span is [start, stop) in
// cells of 64 x 64 pixels; spans are { rows, columns }.

const SIDES = [16, 12, 8, 6, 4]; // of the cores of windows, in cells

/** The cores of windows over a grid of cells: large ones, which need the least work in
 * all, but about as many as there are workers, if there is enough for that. */
export function coresOf(grid, workers) {
  const all = SIDES.map((side) => {
    const [rows, columns] = grid.map((size) => parts(size, side));
    return rows.flatMap((row) =>
      columns.map((column) => ({ rows: row, columns: column })),
    );
  });
  return all.find((cores) => cores.length >= workers) ?? all.at(-1);
}

function parts(size, side) {
  const count = Math.ceil(size / side);
  const edge = (i) => Math.floor((size * i) / count);
  return Array.from({ length: count }, (_, i) => [edge(i), edge(i + 1)]);
}

/** Spans with a halo, as far as the picture goes. */
export function widened(spans, grid, halo) {
  const wider = ([start, stop], size) => [
    Math.max(0, start - halo),
    Math.min(size, stop + halo),
  ];
  return { rows: wider(spans.rows, grid[0]), columns: wider(spans.columns, grid[1]) };
}

/** Spans counted from the corner of others. */
export function relative(spans, origin) {
  const moved = (span, [first]) => span.map((edge) => edge - first);
  return {
    rows: moved(spans.rows, origin.rows),
    columns: moved(spans.columns, origin.columns),
  };
}

/** A copy of a part of an array { data, shape: [rows, columns, channels] }, which has
 * `unit` rows and columns to a cell. */
export function cut({ data, shape }, spans, unit) {
  const [[top, bottom], [left, right]] = [spans.rows, spans.columns].map((span) =>
    span.map((edge) => edge * unit),
  );
  const [, columns, channels] = shape;
  const row = (right - left) * channels;
  const out = new data.constructor((bottom - top) * row);
  for (let y = top; y < bottom; y++) {
    const start = (y * columns + left) * channels;
    out.set(data.subarray(start, start + row), (y - top) * row);
  }
  return { data: out, shape: [bottom - top, right - left, channels] };
}

/** Write an array into a part of another one. */
export function paste(into, part, top, left) {
  const [rows, columns, channels] = part.shape;
  for (let y = 0; y < rows; y++) {
    const row = part.data.subarray(
      y * columns * channels,
      (y + 1) * columns * channels,
    );
    into.data.set(row, ((top + y) * into.shape[1] + left) * channels);
  }
}
