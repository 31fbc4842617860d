// Files that are dragged into the page, or chosen.

/** Give files to `taken`, an array, however they come: dropped anywhere, or by `input`,
 * an <input type="file"> that `button` opens. */
export function acceptFiles(button, input, taken) {
  let own = false; // a picture of the page itself, which some browsers call a file
  const carries = ({ dataTransfer }) => !own && dataTransfer?.types.includes("Files");
  const mark = (yes) => document.body.classList.toggle("dropping", yes);
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    taken([...input.files]);
    input.value = "";
  });
  addEventListener("dragstart", () => (own = true));
  addEventListener("dragend", () => (own = false));
  addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    mark(true);
  });
  addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) mark(false);
  });
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    mark(false);
    taken([...event.dataTransfer.files]);
  });
}
