"use strict";

for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

const filter = document.querySelector(".filter");

const applyFilter = () => {
  const words = filter.querySelector("[type=search]").value.toLowerCase().split(/\s+/);
  const boxes = [...filter.querySelectorAll("[type=checkbox]")];
  const outcomes = boxes.filter((box) => box.checked).map((box) => box.value);
  const isActive = words.some(Boolean) || boxes.some((box) => !box.checked);
  let shown = 0;
  for (const family of document.querySelectorAll("#promises .family")) {
    let hasMatch = false;
    for (const promise of family.querySelectorAll("li")) {
      const text = promise.textContent.toLowerCase();
      const matches = outcomes.includes(promise.dataset.outcome) &&
        words.every((word) => text.includes(word));
      promise.hidden = !matches;
      hasMatch ||= matches;
      shown += matches;
    }
    family.hidden = !hasMatch;
    if (isActive) family.open = hasMatch;
  }
  filter.querySelector("[role=status]").textContent = isActive ? `${shown} shown` : "";
};

if (filter) {
  filter.hidden = false;
  filter.addEventListener("input", applyFilter);
}
