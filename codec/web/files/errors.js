/** What is wrong with a file, in one line. */
export class AecError extends Error {
  name = "AecError";
}
