// Filters the list of operations and schemas by what is typed.
const search = document.getElementById("search");
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of document.querySelectorAll("nav section")) {
    let any = false;
    for (const item of section.querySelectorAll("li")) {
      const text = item.dataset.text.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      any = any || !item.hidden;
    }
    section.hidden = !any;
  }
});
