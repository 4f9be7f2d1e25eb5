/**
 * What a page does when it is used: of the element under the pointer, or with the focus, it shows the description in the
 * list's own line. Arrow keys, Home and End go through a list, which is one stop of the Tab key.
 */
export const SCRIPT = `
for (const list of document.querySelectorAll("[role=listbox]")) {
  const detail = document.getElementById(list.dataset.detail);
  const hint = detail.textContent;
  const options = [...list.querySelectorAll("[role=option]")];
  let current;
  const tell = (option) => { detail.textContent = option ? option.getAttribute("aria-label") : hint; };
  const choose = (option) => {
    for (const other of [current, option]) {
      if (!other) continue;
      other.setAttribute("aria-selected", String(other === option));
    }
    for (const other of list.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    option.tabIndex = 0;
    current = option;
    tell(option);
  };
  const optionOf = (event) => event.target.closest("[role=option]");
  list.addEventListener("pointerover", (event) => tell(optionOf(event) ?? current));
  list.addEventListener("pointerleave", () => tell(current));
  list.addEventListener("click", (event) => optionOf(event)?.focus());
  list.addEventListener("focusin", (event) => choose(optionOf(event)));
  list.addEventListener("keydown", (event) => {
    const at = options.indexOf(document.activeElement);
    const to = {
      ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: options.length - 1,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    options[Math.min(options.length - 1, Math.max(0, to))].focus();
  });
}
`;
