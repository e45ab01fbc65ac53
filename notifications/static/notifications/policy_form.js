// Shows the fields that the chosen scope and the chosen way of naming channels ask for. Without it, all are shown.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const scope = document.getElementById("id_scope");
  if (!scope) return;
  const row = (name) => document.querySelector(`.form-row.field-${name}`);
  const named = () => document.querySelector("input[name=names_channels]:checked");
  const show = () => {
    row("platform").hidden = scope.value !== "platform";
    row("streamer").hidden = scope.value !== "streamer";
    const choice = named();
    row("channels").hidden = !choice || choice.value !== "True";
  };
  document.addEventListener("change", show);
  show();
});
