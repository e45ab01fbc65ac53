// Shows the fields that the chosen scope and the chosen way of naming channels ask for. Without it, all are shown.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const scope = document.getElementById("id_scope");
  if (!scope) return;
  const row = (name) => document.querySelector(`.form-row.field-${name}`);
  const named = () => document.querySelector("input[name=names_channels]:checked");
  // What is not shown is not sent either: nobody would see what is wrong with it.
  const ask = (name, asked) => {
    row(name).hidden = !asked;
    for (const field of row(name).querySelectorAll("input, select")) field.disabled = !asked;
  };
  const show = () => {
    ask("platform", scope.value === "platform");
    ask("streamer", scope.value === "streamer");
    const choice = named();
    ask("channels", Boolean(choice) && choice.value === "True");
  };
  document.addEventListener("change", show);
  show();
});
